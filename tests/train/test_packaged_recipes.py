"""Recipes that come with the package are whole, and those of published systems are what was published."""

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest

from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.prune import check_ramp, target_share
from vedette_train.recipe import load_recipe, packaged_recipes
from vedette_train.runs import build_network

ZOO = {"3d": 285_418, "2d_per_frame_avg": 96_298, "early_fusion_2d": 117_898, "late_fusion": 570_836}
DUAL_STREAM = {"dual-stream": 264_792, "dual-stream-baseline": 285_234}


def parameters(recipe, classes):
    return sum(parameter.numel() for parameter in build_network(recipe, classes).parameters())


@pytest.mark.parametrize("name", [*DUAL_STREAM, "actions", "demo", "exercise", "zoo"])
def test_every_recipe_can_be_started(name):
    recipe = load_recipe(name)
    assert recipe.name == name in packaged_recipes()
    assert recipe.description.strip()
    check_ramp(recipe.train)
    assert parameters(recipe, 2) > 0


@pytest.mark.parametrize(("name", "count"), DUAL_STREAM.items())
def test_the_dual_stream_networks_have_the_published_number_of_parameters(name, count):
    assert parameters(load_recipe(name), 2) == count


@pytest.mark.parametrize(
    ("name", "ends"), [("dual-stream", (0.05, 0.3)), ("dual-stream-baseline", (0.1, 0.5))]
)
def test_their_pruning_reaches_what_was_meant(name, ends):
    prune = load_recipe(name).train.prune
    assert (target_share(prune, prune.warmup), target_share(prune, 99)) == ends


@pytest.mark.parametrize(("model", "count"), ZOO.items())
def test_the_four_networks_of_the_zoo_train_from_one_recipe(model, count, data, cache, tmp_path):
    small = ["train.epochs=1", "train.workers=0", "data.folds=4", "data.input.height=32"]
    recipe = load_recipe("zoo", [f"model.name={model}", *small, "data.input.width=32"])
    assert parameters(load_recipe("zoo", [f"model.name={model}"]), 10) == count
    train(recipe, data, tmp_path / "run", cache=cache)
    assert len(read_history(tmp_path / "run")["val_accuracy"]) == 1
