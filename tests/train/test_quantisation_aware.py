"""Training in simulated int8: float first, then rounded, then with ranges that stay; judged as int8."""

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.checkpoints import read_checkpoint
from vedette_train.data.parts import load_parts
from vedette_train.fake_quant import quantisable, simulated
from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.loaders import make_loaders
from vedette_train.recipe import QuantiseSettings
from vedette_train.runs import build_network

# One batch an epoch: the first observes, the first two follow, the last two are frozen.
CHANGES = {
    "train__epochs": 4,
    "train__keep_epochs": True,
    "train__schedule": "constant",
    "init__freeze_batchnorm": True,
}
QUANTISE = {"observe": 0.25, "freeze_after": 0.5}


@pytest.fixture(scope="module")
def run(data, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "run"
    train(tiny_recipe(**CHANGES, train__quantise=QUANTISE), data, out, cache=cache)
    return out


def checkpoint(run, epoch):
    return read_checkpoint(run / "checkpoints" / f"epoch-{epoch:03d}.ckpt")


def ranges(run, epoch):
    states = checkpoint(run, epoch)["callbacks"]
    return next(state for key, state in states.items() if "QuantisationAware" in key)


def network_after(run, epoch):
    network = build_network(tiny_recipe(), 2)
    state = checkpoint(run, epoch)["state_dict"]
    prefix = "network."
    network.load_state_dict(
        {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    )
    return network.eval()


def test_ranges_follow_and_then_stay(run):
    course = [ranges(run, epoch) for epoch in (1, 2, 3, 4)]
    assert course[0].keys() == quantisable(build_network(tiny_recipe(), 2)).keys()
    assert any(not torch.equal(course[0][name], course[1][name]) for name in course[0])
    for name, bounds in course[1].items():
        assert torch.equal(bounds, course[2][name])
        assert torch.equal(bounds, course[3][name])


def test_it_computes_in_float_while_it_observes_and_then_in_int8(run, data, cache, tmp_path):
    train(tiny_recipe(**CHANGES), data, tmp_path / "float", cache=cache)
    rounded, plain = read_history(run)["train_loss"], read_history(tmp_path / "float")["train_loss"]
    assert rounded[0] == plain[0]
    assert rounded[1] != plain[1]


def test_the_figures_of_validation_are_those_of_int8(run, data, cache):
    recipe = tiny_recipe(**CHANGES)
    loader = make_loaders(recipe, load_parts(recipe, data, cache), cache).validation
    clips, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    for epoch, loss in enumerate(read_history(run)["val_loss"], start=1):
        network = network_after(run, epoch)
        with torch.no_grad(), simulated(network, ranges(run, epoch)):
            found = torch.nn.functional.cross_entropy(network(clips), labels)
        assert float(found) == pytest.approx(loss, rel=1e-5)


def test_the_weights_are_those_of_the_plain_network(run):
    state = torch.load(run / "model.pt", weights_only=True)
    plain = build_network(tiny_recipe(), 2).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in plain.items()
    }


def test_ranges_that_are_frozen_before_they_are_seen_are_refused():
    with pytest.raises(ConfigError, match=r"observe 0\.6 must be below freeze_after 0\.5"):
        tiny_recipe(train__quantise={"observe": 0.6, "freeze_after": 0.5})
    assert QuantiseSettings().observe < QuantiseSettings().freeze_after
