"""A recipe is strict: what is wrong is named, with the nearest key."""

import json

import pytest
import yaml
from train_helpers import recipe_values

from vedette_edge.errors import ConfigError
from vedette_train.recipe import load_recipe, packaged_recipes, recipe_from_dict


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(recipe_values()))))
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train.epoch": 3}, "train.epoch: unknown key, did you mean 'epochs'?"),
        ({"data.input.frame": 3}, "data.input.frame: unknown key, did you mean 'frames'?"),
        ({"trian.epochs": 3}, "trian: unknown key, did you mean 'train'?"),
        ({"train.zzz": 3}, "train.zzz: unknown key, known keys: balance, batch_size"),
        ({"train.epochs": -1}, "train.epochs: Input should be greater than or equal to 0 (found -1)"),
        ({"train.epochs": "5"}, "train.epochs: Input should be a valid integer (found '5')"),
        ({"train.lr": float("nan")}, "train.lr: Input should be a finite number"),
        ({"train.epochs": 0}, "train.epochs is 0 and init.probe is 0: nothing would be trained"),
        ({"data.fold": 4}, "data.fold is 4, with data.folds 4"),
        ({"data.val_share": 0}, "data.val_share is 0, so no epoch can be chosen; set train.keep: last"),
        ({"train.locality": 0.5}, "train.locality needs data.input.temporal: difference"),
        ({"data.input.std": [1.0, 0.0, 1.0]}, "data.input: std must be positive"),
        ({"augment.crop_area": [1.0, 0.5]}, "augment.crop_area: the first number must not be above"),
        ({"augment.crop_area": [0.0, 1.0]}, "augment.crop_area.0: Input should be greater than 0"),
        ({"augment.crop_ratio": [0.9, -1.1]}, "augment.crop_ratio.1: Input should be greater than 0"),
        ({"decision.off_threshold": 0.9}, "off_threshold (0.9) must not be above on_threshold (0.6)"),
        ({"name": "Bad Name"}, "name: String should match pattern"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named(changes, sentence):
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(recipe_values(changes), "here.yaml")
    assert str(caught.value).startswith("here.yaml: ")
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_errors_are_told_at_once():
    with pytest.raises(ConfigError, match=r"seed: .*; train\.lr: ") as caught:
        recipe_from_dict(recipe_values({"seed": -1, "train.lr": 0.0}), "here.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.epochs=5", 5),
        ("train.lr=1e-3", 0.001),
        ("train.lr=2.5E-4", 0.00025),
        ("train.balance=true", True),
        ("train.patience=null", None),
        ("data.exclude=[left, right]", ("left", "right")),
        ("data.background=[]", ()),
        ("init.weights=a=b.pth", "a=b.pth"),
        ("model.mode=causal", "causal"),
    ],
)
def test_a_key_is_set_to_a_yaml_value(override, value, recipe_file):
    section, key = override.partition("=")[0].split(".")
    recipe = load_recipe(str(recipe_file), [override])
    assert getattr(getattr(recipe, section), key) == value


def test_the_last_of_two_settings_wins(recipe_file):
    assert load_recipe(str(recipe_file), ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train.epochs", "--set train.epochs: expected key=value, such as train.epochs=5"),
        ("=5", "--set =5: expected key=value"),
        ("train.epochs=[", "--set train.epochs=[: the value is not YAML"),
        ("name.x=1", "--set name.x=1: 'name' is a value, not a section"),
        ("train.epoch=5", "train.epoch: unknown key, did you mean 'epochs'?"),
        ("train=5", "train: Input should be an object (found 5)"),
        ("..=5", "unknown key"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error(override, sentence, recipe_file):
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(recipe_file), [override])
    assert sentence in str(caught.value)


def test_exponents_are_numbers_in_a_file_too(recipe_file):
    recipe_file.write_text(recipe_file.read_text().replace("lr: 0.001", "lr: 5e-4"))
    assert load_recipe(str(recipe_file)).train.lr == 5e-4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"- a\n- b\n", "expected a mapping of keys, found list"),
        (b"", "expected a mapping of keys, found NoneType"),
        (b"name: [", "cannot be read as YAML"),
        (b"name: \xff\xfe", "cannot be read as YAML"),
        (b"name: tiny\n", "data: missing; decision: missing"),
    ],
)
def test_a_file_that_is_no_recipe_is_an_error_that_names_it(content, sentence, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


def test_an_unknown_name_lists_the_packaged_recipes():
    with pytest.raises(ConfigError, match=r"no recipe 'dmeo': did you mean 'demo'\? It is neither a file"):
        load_recipe("dmeo")
    assert set(packaged_recipes()) >= {"actions", "demo"}


def test_a_recipe_of_anomaly_detection_is_sent_elsewhere():
    with pytest.raises(ConfigError, match=r"here\.yaml is of anomaly detection; .*vedette-train anomaly"):
        recipe_from_dict({"task": "anomaly"}, "here.yaml")


def test_a_recipe_written_as_yaml_reads_back_the_same(recipe_file, tmp_path):
    recipe = load_recipe(str(recipe_file), ["data.root=/videos", "train.lr=1e-5"])
    (tmp_path / "copy.yaml").write_text(recipe.to_yaml())
    assert load_recipe(str(tmp_path / "copy.yaml")) == recipe
