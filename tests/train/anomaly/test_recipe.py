"""Recipes of anomaly detection: strict, and consistent with the layers they read."""

import pytest
from anomaly_helpers import anomaly_values, tiny_anomaly

from vedette_edge.errors import ConfigError
from vedette_train.anomaly.detectors import FeatCAE
from vedette_train.anomaly.recipe import anomaly_recipe_from_dict, load_anomaly_recipe
from vedette_train.settings import packaged_recipes, read_settings

# Layers of ResNet-50, channels, width of the first hidden layer, parameters of FeatCAE with d = 100.
TABLE = [
    ((2,), 512, 356, 550_892),
    ((3,), 1024, 612, 1_544_172),
    ((4,), 2048, 1124, 5_103_596),
    ((2, 3), 1536, 868, 3_061_740),
    ((2, 4), 2560, 1380, 7_669_740),
    ((3, 4), 3072, 1636, 10_760_172),
    ((2, 3, 4), 3584, 1892, 14_374_892),
]


@pytest.mark.parametrize(("layers", "channels", "middle", "parameters"), TABLE)
def test_the_published_table_of_channels_and_parameters_holds(layers, channels, middle, parameters):
    backbone = {"name": "resnet50", "layers": [f"layer{number}" for number in layers], "weights": None}
    stated = {"in_channels": channels, "border": 0, "top_k": 1}
    recipe = tiny_anomaly(backbone=backbone, anomaly=stated)
    assert recipe.backbone.channels == channels
    network = FeatCAE(channels, 100)
    assert network.encoder[0].out_channels == middle
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("layers", "channels", "middle", "parameters"), TABLE)
def test_stated_channels_that_contradict_the_layers_are_refused(layers, channels, middle, parameters):
    del middle, parameters
    backbone = {"name": "resnet50", "layers": [f"layer{number}" for number in layers], "weights": None}
    with pytest.raises(ConfigError, match=rf"in_channels is {channels - 1}, but .* have {channels} channels"):
        tiny_anomaly(backbone=backbone, anomaly__in_channels=channels - 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"backbone__layers": ["layer2", "layer1"]}, "must go from fine to coarse, each once"),
        ({"backbone__layers": ["layer2", "layer2"]}, "must go from fine to coarse, each once"),
        ({"backbone__layers": []}, "backbone.layers"),
        ({"backbone__name": "resnet51"}, "backbone.name"),
        ({"anomaly__latent_dimm": 3}, "unknown key, did you mean 'latent_dim'?"),
        ({"anomaly__border": 8}, "leaves fewer than anomaly.top_k"),
        ({"data__input__std": [1.0, 0.0, 1.0]}, "data.input.std must be positive"),
        ({"task": "classify"}, "task"),
        ({"train__lr": 0.0}, "train.lr"),
    ],
)
def test_a_wrong_recipe_is_told_in_one_sentence(changes, sentence):
    with pytest.raises(ConfigError) as caught:
        anomaly_recipe_from_dict(anomaly_values(**changes), "tiny.yaml")
    assert str(caught.value).startswith("tiny.yaml: ")
    assert sentence in str(caught.value)


def test_the_packaged_recipes_are_valid():
    names = [name for name in packaged_recipes() if read_settings(name)[0].get("task") == "anomaly"]
    assert set(names) == {"anomaly", "magnetic_tile"}
    for name in names:
        recipe = load_anomaly_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert anomaly_recipe_from_dict(read_settings(name)[0], name) == recipe


def test_a_recipe_survives_being_written(tmp_path):
    recipe = tiny_anomaly(anomaly__relative=0.9)
    path = tmp_path / "tiny.yaml"
    path.write_text(recipe.to_yaml())
    assert load_anomaly_recipe(str(path)) == recipe
    assert load_anomaly_recipe(str(path), ["train.lr=2e-3"]).train.lr == 2e-3
