"""A search space is checked whole before the first trial."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.search_space import Range, SearchSpace, load_space, varied


@pytest.fixture
def space_file(tmp_path):
    def write(text):
        path = tmp_path / "space.yaml"
        path.write_text("parameters:\n" + "".join(f"  {line}\n" for line in text.splitlines()))
        return path

    return write


GOOD = """train.lr: {type: float, low: 1e-4, high: 1.0e-2, log: true}
train.epochs: {type: int, low: 1, high: 3}
train.optimizer: {type: categorical, choices: [adamw, sgd]}
model.dropout: {type: float, low: 0, high: 0.5}
train.grad_clip: {type: categorical, choices: [null, 1.0]}"""


def test_every_suggestion_is_a_recipe(space_file):
    space = load_space(space_file(GOOD), tiny_recipe())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        values = space.suggest(study.ask())
        recipe = varied(tiny_recipe(), values, "a trial")
        assert 1e-4 <= recipe.train.lr <= 1e-2
        assert recipe.train.epochs in (1, 2, 3)
        assert recipe.train.optimizer in ("adamw", "sgd")
        assert recipe.model.arguments["dropout"] == values["model.dropout"] <= 0.5
        assert recipe.train.grad_clip in (None, 1.0)
        assert recipe.data == tiny_recipe().data


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "train.lrr: {type: float, low: 0.1, high: 0.2}",
            "train.lrr: unknown key, did you mean",
        ),
        ("train.lr: {type: float, low: -1, high: 0.2}", "train.lr: -1.*greater than 0"),
        ("train.lr: {type: float, low: 0.3, high: 0.2}", "low 0.3 must be below high 0.2"),
        ("train.lr: {type: float, low: 0, high: 0.2, log: true}", "log needs low above 0"),
        ("train.epochs: {type: int, low: 1.5, high: 4}", "type int needs whole numbers"),
        ("train.lr: {type: double, low: 1, high: 2}", "train.lr: .*does not match any of the expected tags"),
        ("train.lr: {type: float, low: 1, high: 2, step: 1}", "step: unknown key"),
        ("train.lr: {type: categorical, choices: [0.1]}", "at least 2 items"),
        ("model.width: {type: categorical, choices: [1, 2]}", "takes no 'width', did you mean 'width_mult'"),
        ("name.x: {type: categorical, choices: [1, 2]}", "'name' is a value, not a section"),
    ],
)
def test_a_wrong_space_says_where(line, sentence, space_file):
    with pytest.raises(ConfigError, match=sentence):
        load_space(space_file(line), tiny_recipe())


def test_a_space_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_space(tmp_path / "space.yaml", tiny_recipe())


def test_a_section_that_was_off_can_be_varied():
    recipe = varied(tiny_recipe(), {"train.prune.end": 0.2}, "a trial")
    assert recipe.train.prune.end == 0.2


@given(st.integers(1, 50), st.integers(1, 50))
def test_whole_numbers_stay_whole(low, more):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=low))
    found = Range(type="int", low=float(low), high=float(low + more)).suggest(study.ask(), "x")
    assert isinstance(found, int)
    assert low <= found <= low + more


def test_a_space_without_parameters_is_none():
    with pytest.raises(ValueError, match="at least 1 item"):
        SearchSpace(parameters={})
