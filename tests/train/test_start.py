"""Where weights start, and which stay as they are."""

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError, DataError
from vedette_train.fit import train
from vedette_train.runs import build_network, open_run
from vedette_train.start import freeze, starting_network

LABELS = ("left", "right")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_starts_from_another_run_head_and_all(run_directory):
    network = starting_network(tiny_recipe(init__run=str(run_directory)), LABELS)
    assert same(network.state_dict(), open_run(run_directory).network().state_dict())


def test_a_network_starts_from_a_file_of_weights(run_directory):
    recipe = tiny_recipe(init__run=str(run_directory / "model.pt"))
    network = starting_network(recipe, LABELS)
    assert same(network.state_dict(), open_run(run_directory).network().state_dict())


@pytest.mark.parametrize("labels", [("left", "right", "up"), ("right", "left")])
def test_the_head_is_learnt_anew_where_the_classes_differ(labels, run_directory, capsys):
    network = starting_network(tiny_recipe(init__run=str(run_directory)), labels)
    given = open_run(run_directory).network().state_dict()
    for name, tensor in network.state_dict().items():
        known = name in given and tensor.shape == given[name].shape and torch.equal(tensor, given[name])
        assert known is not name.endswith("classifier.linear.weight") or name.endswith("bias")
    assert "knows other classes: its last layer is left out" in capsys.readouterr().err


def test_a_file_whose_head_has_another_size_gives_all_but_the_head(tmp_path):
    state = build_network(tiny_recipe(), 9).state_dict()
    torch.save(state, tmp_path / "nine.pt")
    network = starting_network(tiny_recipe(init__run=str(tmp_path / "nine.pt")), LABELS)
    assert torch.equal(network.features[0].conv.weight, state["features.0.conv.weight"])
    assert network.head.weight.shape[0] == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"features.0.conv.weight": torch.zeros(1)}, r"features\.0\.conv\.weight is \(1,\), expected \(8, 3"),
        ({"other": torch.zeros(1)}, "is missing, expected"),
        ([1, 2], "expected a run or a state dict of tensors, found list"),
    ],
)
def test_weights_of_another_network_are_refused(content, sentence, tmp_path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(DataError, match=sentence):
        starting_network(tiny_recipe(init__run=str(tmp_path / "other.pt")), LABELS)


def test_weights_with_layers_too_many_are_refused(tmp_path):
    state = build_network(tiny_recipe(), 2).state_dict()
    torch.save(state | {"more.weight": torch.zeros(3)}, tmp_path / "more.pt")
    with pytest.raises(DataError, match=r"more\.weight is \(3,\), expected no such layer"):
        starting_network(tiny_recipe(init__run=str(tmp_path / "more.pt")), LABELS)


def test_what_is_no_file_of_weights_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("weights")
    for name in ("text.pt", "nothing.pt"):
        with pytest.raises(DataError, match=f"{name}: cannot read weights"):
            starting_network(tiny_recipe(init__run=str(tmp_path / name)), LABELS)


def test_two_starts_are_one_too_many(run_directory):
    with pytest.raises(ConfigError, match=r"init\.weights and init\.run are both given"):
        starting_network(tiny_recipe(init__run=str(run_directory), init__weights="x.pth"), LABELS)


def test_frozen_layers_are_not_trained_and_the_others_are(data, cache, tmp_path):
    recipe = tiny_recipe(init__freeze=["features.0.", "features.1"], train__epochs=1, train__lr=0.01)
    torch.manual_seed(0)
    start = build_network(recipe, 2).state_dict()
    torch.save(start, tmp_path / "start.pt")
    recipe = tiny_recipe(
        init__freeze=["features.0.", "features.1"],
        init__run=str(tmp_path / "start.pt"),
        train__epochs=1,
        train__lr=0.01,
    )
    train(recipe, data, tmp_path / "run", cache=cache)
    end = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    for name in start:
        frozen = name.startswith(("features.0.", "features.1"))
        assert torch.equal(start[name], end[name]) or not frozen, name
    assert not torch.equal(start["features.2.project.conv.weight"], end["features.2.project.conv.weight"])


def test_freezing_what_is_not_there_names_what_is():
    network = build_network(tiny_recipe(), 2)
    with pytest.raises(ConfigError, match=r"no layer's name begins with 'feature\.'; try: features"):
        freeze(network, ["features", "feature."])


def test_freezing_everything_leaves_nothing_to_train():
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        freeze(build_network(tiny_recipe(), 2), ["features", "classifier"])
