"""A run of anomaly detection as what is converted: its network, its words, its pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from anomaly_helpers import KINDS, tiny_anomaly, untrained_detector

from vedette_converters.graph import clip_graph
from vedette_converters.subjects import open_subject
from vedette_converters.subjects.anomaly import AnomalySubject, score_scale
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.errors import DataError
from vedette_edge.preprocess import to_tensor
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_train.anomaly.clips import ClipDetector
from vedette_train.anomaly.evaluate import evaluate_anomaly, judge
from vedette_train.anomaly.training import fit_anomaly


@pytest.fixture(scope="module")
def subject(shared_run):
    return open_subject(shared_run.directory)


def outputs(network, tensor):
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(torch.from_numpy(tensor))
    return logits.numpy(), heatmap.numpy()


def test_the_reported_pictures_are_judged_as_the_training_room_judged_them(subject, shared_run):
    verdicts = evaluate_anomaly(shared_run)
    judgeables = list(subject.judgeables())
    assert subject.reported == len(judgeables) == len(verdicts) == 10
    for judgeable, verdict in zip(judgeables, verdicts, strict=True):
        logits, heatmap = outputs(subject.network, judgeable.tensor)
        assert judgeable.name == verdict.picture.name
        assert judgeable.truth == verdict.picture.bad
        assert logits[0, 0] == pytest.approx(verdict.judged.score, rel=1e-5)
        np.testing.assert_allclose(heatmap[0, 0, 0], verdict.judged.map, rtol=1e-4, atol=1e-7)


def test_labels_of_the_scale_are_the_verdicts_of_the_run(subject, shared_run):
    _, calibration = shared_run.detector()
    scores = np.array([[verdict.judged.score] for verdict in evaluate_anomaly(shared_run)], np.float32)
    labels = subject.description.scale.labels(scores)
    assert set(labels) == {0, 1}
    assert labels.tolist() == (scores[:, 0] >= calibration.threshold).astype(int).tolist()
    chances = subject.description.scale.probabilities(scores)[:, 0]
    assert ((chances >= subject.description.decision.on_threshold) == labels).all()


def test_frames_are_the_pictures_from_which_the_device_makes_the_tensor(subject):
    one = next(subject.judgeables())
    assert one.frames.shape == (1, 1, 64, 64, 3)
    assert one.frames.dtype == np.uint8
    np.testing.assert_array_equal(to_tensor(list(one.frames[0]), subject.description.input), one.tensor)


def test_calibration_is_spread_over_the_pictures_that_were_trained_on(subject, shared_run):
    trained = shared_run.info.train
    names = [one.name for one in subject.calibration(3)]
    assert names == [one.name for one in subject.calibration(3)]
    assert names[0] == trained[0]
    assert names[-1] == trained[-1]
    assert len(set(names)) == 3
    assert [one.name for one in subject.calibration(100)] == list(trained)


def test_the_manifest_is_told_what_the_run_is(subject, shared_run):
    said, info = subject.description, shared_run.info
    detector, calibration = shared_run.detector()
    assert said.architecture == "featcae-mobilenet_v2-layer1-layer2"
    assert [(label.name, label.alarm) for label in said.labels] == [("anomaly", True)]
    assert said.cells == ClipDetector(detector, 4).heatmap_cells
    assert said.anomaly.threshold == calibration.threshold
    assert (said.anomaly.map_low, said.anomaly.map_high) == (calibration.map_low, calibration.map_high)
    assert said.split == f"test, 4 good and 6 bad pictures, sha256 {info.dataset[:12]}"


def test_the_provenance_says_where_the_run_comes_from_but_not_where_its_data_lay(subject, shared_run):
    provenance, info = subject.description.provenance, shared_run.info
    assert provenance.split["train"] == info.train
    assert provenance.split["held_out"] == info.held_out
    assert provenance.split["test"] == tuple(one.name for one in subject.judgeables())
    assert provenance.dataset == info.dataset
    assert provenance.seed == 3
    assert "image_auroc" in provenance.metrics
    assert info.data_root not in provenance.model_dump_json()


def test_the_scale_is_what_scores_of_held_out_pictures_differ_by(subject, shared_run):
    root = shared_run.info.data_root
    detector, calibration = shared_run.detector()
    paths = [Path(root) / name for name in shared_run.info.held_out]
    scores = [one.score for one in judge(detector, paths, shared_run.recipe)]
    assert subject.description.anomaly.scale == score_scale(scores, calibration.threshold)
    assert score_scale([1.0, 3.0], 5.0) == 1.0
    assert score_scale([2.0, 2.0], -5.0) == 0.005
    assert score_scale([2.0, 2.0], 0.0) > 0


def test_without_a_test_the_held_out_pictures_are_reported(surfaces, tmp_path):
    shutil.copytree(surfaces / "train", tmp_path / "data" / "train")
    recipe = tiny_anomaly(data__test=False, train__epochs=1, faithful=True, name="no_test")
    run = fit_anomaly(recipe, tmp_path / "data", tmp_path / "run")
    subject = AnomalySubject.open(run.directory)
    assert [one.name for one in subject.judgeables()] == list(run.info.held_out)
    assert {one.truth for one in subject.judgeables()} == {0}
    assert subject.description.split.startswith(f"held out, {subject.reported} good and 0 bad pictures")
    assert subject.description.provenance.split["test"] == ()
    assert subject.description.name == "no-test"
    assert subject.description.input.mean == (0.0, 0.0, 0.0)


def test_a_dataset_that_moved_is_found_where_it_is_said_to_be(own_run, surfaces, tmp_path):
    moved = shutil.copytree(surfaces, tmp_path / "moved")
    (moved / "test" / "good" / "000.png").write_bytes(b"no picture")
    subject = open_subject(own_run.directory, moved)
    with pytest.raises(DataError, match=r"moved.*000\.png: is not a picture"):
        next(subject.judgeables())


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("metrics.json", r"metrics\.json: cannot be read .*; run  vedette-train evaluate .*  first"),
        ("predictions.csv", r"predictions\.csv: cannot be read"),
        ("model.pt", "its training did not finish"),
    ],
)
def test_a_run_that_lacks_something_is_refused(own_run, file, sentence):
    (own_run.directory / file).unlink()
    with pytest.raises(DataError, match=sentence):
        open_subject(own_run.directory)


def test_a_dataset_that_is_not_there_is_told_before_anything_is_judged(own_run, tmp_path):
    with pytest.raises(DataError, match=r"nowhere: the run's dataset is not there; .*--data DIR"):
        open_subject(own_run.directory, tmp_path / "nowhere")


def test_the_head_of_drawn_defects_stays_in_float_and_an_autoencoder_does_not():
    kept = {
        name: ClipDetector(untrained_detector(**changes), 4).keeps_float for name, changes in KINDS.items()
    }
    assert kept["defects"] == kept["defects and patches"] == ("detector.head", "detector.last")
    assert kept["featcae"] == ()


@pytest.mark.slow
@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_the_exported_detector_gives_the_same_score_and_map(changes):
    changes = changes | {"backbone__layers": ["layer1"]}
    recipe = tiny_anomaly(**changes)
    network = ClipDetector(untrained_detector(**changes), recipe.stride).eval()
    clips = torch.randn(3, 3, 1, 64, 64).numpy()
    logits, heatmap = outputs(network, clips)
    found = OnnxSession(to_onnx(clip_graph(network, recipe.spec)).contents[0]).run(clips)
    assert heatmap.std() > 0
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.heatmap, heatmap, rtol=1e-5, atol=1e-5)
