"""Every recipe that comes with the package validates, trains a network that exists, and says what it is."""

import pytest

from vedette_train.anomaly.recipe import load_anomaly_recipe
from vedette_train.models import MODELS
from vedette_train.recipe import load_recipe, packaged_recipes
from vedette_train.settings import read_settings

TASKS = {name: read_settings(name)[0].get("task", "classify") for name in packaged_recipes()}


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task == "anomaly"])
def test_a_packaged_recipe_of_anomaly_detection_validates(name):
    recipe = load_anomaly_recipe(name)
    assert recipe.name == name
    assert recipe.description.strip().endswith(".")
    assert recipe.data.root is None
    assert recipe.backbone.weights in (None, "torchvision")


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task == "classify"])
def test_a_packaged_recipe_validates(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description.strip().endswith(".")
    assert recipe.model.name in MODELS
    assert recipe.data.root is None  # a path of ours would mean nothing to a user
    assert recipe.data.fold < recipe.data.folds


def test_there_is_a_recipe_for_the_demo():
    assert "demo" in packaged_recipes()
