"""Where detectors start: from a run, slim or not, and what of them never leaves."""

import pytest
import torch
from anomaly_helpers import anomaly_values, tiny_anomaly

from vedette_edge.errors import ConfigError
from vedette_train.anomaly.detectors import build_detector
from vedette_train.anomaly.folder import scan_anomaly
from vedette_train.anomaly.loop import TrainingLoop
from vedette_train.anomaly.mend import mend_reader
from vedette_train.anomaly.recipe import anomaly_recipe_from_dict
from vedette_train.anomaly.samples import TrainingPictures
from vedette_train.anomaly.start import slim_detector, starting_detector
from vedette_train.anomaly.training import deal
from vedette_train.costs import count_gmacs, parameter_count
from vedette_train.slim.cut import cut, slimming_of
from vedette_train.slim.settings import SlimSettings

DETECTORS = [
    {"anomaly__standardise": True, "backbone__layers": ["layer1", "layer2", "layer3"]},
    {"anomaly__method": "defects", "anomaly__patches": 20, "backbone__name": "resnet18"},
    {"backbone__name": "resnet50", "backbone__layers": ["layer1"]},
]


@pytest.mark.parametrize("changes", DETECTORS)
def test_backbone_and_head_lose_channels_but_not_those_that_are_read(changes):
    recipe = tiny_anomaly(**changes)
    torch.manual_seed(0)
    detector, again = build_detector(recipe), build_detector(recipe)
    again.load_state_dict(detector.state_dict())
    images = torch.randn(2, 3, 64, 64)
    features = detector.features(images)
    scores, maps = detector(images)
    before = (
        parameter_count(detector),
        parameter_count(detector.reader),
        count_gmacs(lambda: detector(images)),
    )
    record = slim_detector(detector, recipe, SlimSettings(ratio=0.5, scope="layer"))
    assert detector.features(images).shape == features.shape
    assert [one.shape for one in detector(images)] == [scores.shape, maps.shape]
    assert detector.get_submodule(detector.reads).weight.shape[1] == recipe.backbone.channels
    assert parameter_count(detector) < 0.7 * before[0]
    assert parameter_count(detector.reader) < 0.8 * before[1]
    assert count_gmacs(lambda: detector(images)) < 0.8 * before[2]
    assert not any(parameter.requires_grad for parameter in detector.reader.parameters())
    cut(again, record)
    with torch.no_grad():
        assert all(map(torch.equal, detector(images), again(images)))


def test_a_backbone_that_is_kept_gives_the_same_features():
    recipe = tiny_anomaly()
    detector, images = build_detector(recipe), torch.randn(1, 3, 64, 64)
    features = detector.features(images)
    slim_detector(detector, recipe, SlimSettings(keep=("reader",)))
    assert torch.equal(detector.features(images), features)
    assert detector.autoencoder.encoder[0].out_channels < 36


def test_a_slim_training_goes_on_as_slim_as_it_was(shared_run, surfaces, tmp_path):
    init = {"run": str(shared_run.directory), "slim": {"ratio": 0.5, "importance": "l1"}, "mend": 1}
    recipe = tiny_anomaly(init=init)
    train, held_out, _ = deal(scan_anomaly(surfaces), recipe)
    loops = [
        TrainingLoop(recipe, train, held_out, tmp_path / name, torch.device("cpu")) for name in ("one", "two")
    ]
    loops[0].run(resume=False)
    loops[1].recipe = tiny_anomaly(init=init, train__epochs=1)
    loops[1].run(resume=False)
    last = TrainingLoop(recipe, train, held_out, tmp_path / "two", torch.device("cpu"))
    last.run(resume=True)
    assert slimming_of(last.detector) == slimming_of(loops[0].detector)
    whole, resumed = loops[0].detector.state_dict(), last.detector.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_without_a_run_there_is_nothing_to_slim_or_to_leave_untrained():
    for changes in ({"init": {"slim": {"ratio": 0.5}}}, {"train__epochs": 0}):
        with pytest.raises(ConfigError, match=r"need trained weights; set init\.run"):
            anomaly_recipe_from_dict(anomaly_values(**changes), "here")
    with pytest.raises(ConfigError, match=r"set init\.slim, too"):
        tiny_anomaly(init={"run": "somewhere", "mend": 1})


def test_a_mended_backbone_comes_nearer_to_the_dense_one_and_is_frozen_again(shared_run, surfaces):
    recipe = tiny_anomaly(init={"run": str(shared_run.directory)})
    pictures = TrainingPictures([picture.path for picture in scan_anomaly(surfaces).train], recipe)
    dense, slim = (starting_detector(recipe, pictures) for _ in range(2))
    slim_detector(slim, recipe, SlimSettings(ratio=0.5, scope="layer"))
    errors = mend_reader(slim.reader, dense.reader, pictures, recipe, 4)
    assert errors[-1] < 0.5 * errors[0]
    assert not slim.reader.training
    assert not any(parameter.requires_grad for parameter in slim.reader.parameters())


def test_a_detector_starts_from_a_run(shared_run, surfaces):
    recipe = tiny_anomaly(init={"run": str(shared_run.directory)})
    pictures = TrainingPictures([picture.path for picture in scan_anomaly(surfaces).train], recipe)
    found = starting_detector(recipe, pictures).state_dict()
    wanted = shared_run.detector()[0].state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
