"""Slim runs: trained, resumed, removed at the end, and used by everything that opens a run."""

import json

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError, DataError
from vedette_train.checkpoints import BEST, LAST, read_checkpoint
from vedette_train.costs import parameter_count
from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.runs import build_network, open_run
from vedette_train.slim.cut import slimming_of
from vedette_train.start import starting_network, teacher_of


class PowerFailureError(Exception):
    pass


class FailAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 1:
            raise PowerFailureError


def slim_recipe(run, **changes):
    return tiny_recipe(init__run=str(run), init__slim={"ratio": 0.5, "importance": "taylor"}, **changes)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def logits(network):
    with torch.no_grad():
        return network(torch.randn(2, 3, 4, 32, 64, generator=torch.Generator().manual_seed(0)))


def test_a_slim_training_goes_on_as_slim_as_it_was_and_ends_bit_for_bit(run_directory, data, cache, tmp_path):
    recipe = slim_recipe(run_directory, train__distil={"run": str(run_directory)})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(recipe, data, straight, cache=cache)
    with pytest.raises(PowerFailureError):
        train(recipe, data, broken, cache=cache, callbacks=[FailAt()])
    train(recipe, data, broken, resume=True, cache=cache)
    for name in ("model.pt", "slimming.json"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes()
    dense, slim = open_run(run_directory).network(), open_run(broken).network()
    assert parameter_count(slim) < 0.6 * parameter_count(dense)
    assert not any("teacher" in name for name in read_checkpoint(broken / LAST)["state_dict"])


def test_without_epochs_a_run_is_slimmed_and_no_more(run_directory, data, cache, tmp_path):
    recipe = slim_recipe(run_directory, train__epochs=0)
    train(recipe, data, tmp_path / "slim", cache=cache)
    run = open_run(tmp_path / "slim")
    network, dense = run.network(), open_run(run_directory).network()
    record = slimming_of(network)
    kept = list(record.layers["features.0.conv"].outputs.kept)
    assert torch.equal(network.features[0].conv.weight, dense.features[0].conv.weight[kept])
    # And again from the slim run, which brings its record.
    again = starting_network(tiny_recipe(init__run=str(run.directory)), run.info.labels)
    assert torch.equal(logits(again.eval()), logits(network))
    assert slimming_of(again) == record


def test_a_damaged_or_foreign_record_is_told_when_the_run_is_opened(own_run):
    run = open_run(own_run)
    (own_run / "slimming.json").write_text("{")
    with pytest.raises(DataError, match=r"slimming\.json: "):
        run.network()
    layers = {"features.0.conv": {"outputs": {"of": 8, "kept": [0]}}}
    (own_run / "slimming.json").write_text(json.dumps({"layers": layers}))
    with pytest.raises(DataError, match="cannot load the weights of this run"):
        run.network()
    layers = {"features.0.conv": {"outputs": {"of": 9, "kept": [0]}}}
    (own_run / "slimming.json").write_text(json.dumps({"layers": layers}))
    with pytest.raises(DataError, match=r"has 8 outputs, the record counts 9"):
        run.network()


def test_masked_channels_leave_at_the_end_and_the_kept_epoch_said_the_same(data, cache, tmp_path):
    ramp = {"start": 0.2, "end": 0.4, "warmup": 1, "epochs": 1, "remove": True}
    recipe = tiny_recipe(train__epochs=3, train__prune=ramp, train__lr=0.01)
    out = tmp_path / "run"
    with pytest.raises(PowerFailureError):
        train(recipe, data, out, cache=cache, callbacks=[FailAt()])
    train(recipe, data, out, resume=True, cache=cache)
    masked = build_network(recipe, 2).eval()
    state = read_checkpoint(out / BEST)["state_dict"]
    masked.load_state_dict(
        {name.removeprefix("network."): state[name] for name in state if "network." in name}
    )
    slim = open_run(out).network()
    torch.testing.assert_close(logits(slim), logits(masked), atol=1e-5, rtol=1e-4)
    assert slim.features[14].depthwise.conv.groups == 144 - round(0.4 * 144)
    assert read_history(out)["pruned"] == pytest.approx([0.0, 0.2, 0.4], abs=0.01)
    before = (out / "model.pt").read_bytes()
    train(recipe, data, out, resume=True, cache=cache)
    assert (out / "model.pt").read_bytes() == before


def test_channels_that_leave_need_trained_weights():
    with pytest.raises(ConfigError, match=r"init\.slim removes channels of trained weights"):
        tiny_recipe(init__slim={"ratio": 0.5})


def test_a_teacher_is_frozen_and_its_own_run(run_directory):
    assert teacher_of(tiny_recipe(), ("left", "right")) is None
    recipe = tiny_recipe(train__distil={"run": str(run_directory)})
    teacher = teacher_of(recipe, ("left", "right"))
    assert same(teacher.state_dict(), open_run(run_directory).network().state_dict())
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(
    ("changes", "labels", "sentence"),
    [
        ({}, ("right", "left"), r"labels left, right there, right, left here"),
        ({"data__input__frames": 8}, ("left", "right"), r"input\.frames 4 there, 8 here"),
    ],
)
def test_a_teacher_of_other_classes_or_another_input_is_refused(changes, labels, sentence, run_directory):
    recipe = tiny_recipe(train__distil={"run": str(run_directory)}, **changes)
    with pytest.raises(ConfigError, match=r"cannot teach recipe 'tiny': .*" + sentence):
        teacher_of(recipe, labels)
