"""What a sweep varies: a strict YAML file of ranges and choices over the dotted keys of a recipe.

parameters:
train.lr: {type: float, low: 1.0e-4, high: 1.0e-3, log: true}
train.step_epochs: {type: int, low: 5, high: 15}
train.optimizer: {type: categorical, choices: [adamw, sgd, rmsprop]}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from vedette_edge.errors import ConfigError
from vedette_train.recipe import Recipe, recipe_from_dict
from vedette_train.runs import build_network
from vedette_train.settings import Section, read_settings, validate

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["Choice", "Range", "SearchSpace", "Value", "load_space", "varied"]

Value = bool | int | float | str | None


class Range(Section):
    """Numbers from `low` to `high`, both included."""

    type: Literal["float", "int"]
    low: float
    high: float
    log: bool = Field(False, description="Evenly over the orders of magnitude.")

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, got {self.low:g}")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"type int needs whole numbers, got {self.low:g} and {self.high:g}")
        return self

    def suggest(self, trial: Trial, key: str) -> Value:
        """Let the trial choose."""
        if self.type == "int":
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def ends(self) -> list[Value]:
        """Return the values that a recipe must bear for it to bear all."""
        return [int(one) if self.type == "int" else one for one in (self.low, self.high)]


class Choice(Section):
    """One of some values."""

    type: Literal["categorical"]
    choices: tuple[Value, ...] = Field(min_length=2)

    def suggest(self, trial: Trial, key: str) -> Value:
        """Let the trial choose."""
        return trial.suggest_categorical(key, self.choices)

    def ends(self) -> list[Value]:
        """Return all of them."""
        return list(self.choices)


class SearchSpace(Section):
    """All that varies, by the dotted key of the recipe."""

    parameters: dict[str, Annotated[Range | Choice, Field(discriminator="type")]] = Field(min_length=1)

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """Return a value for each key."""
        return {key: parameter.suggest(trial, key) for key, parameter in self.parameters.items()}


def load_space(path: Path, recipe: Recipe) -> SearchSpace:
    """Read a search space, and try each end of it on the recipe.

    Raises:
        ConfigError: when the file is malformed, or a value makes no valid recipe or network; says which.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected the YAML of a search space")
    space = validate(read_settings(str(path))[0], SearchSpace, str(path))
    for key, parameter in space.parameters.items():
        for value in parameter.ends():
            source = f"{path}, {key}: {value}"
            changed = varied(recipe, {key: value}, source)
            if key.startswith("model."):
                try:
                    build_network(changed, num_classes=2)
                except ConfigError as error:
                    raise ConfigError(f"{source}: {error}") from error
    return space


def varied(recipe: Recipe, values: Mapping[str, Value], source: str) -> Recipe:
    """Return the recipe with other values at some dotted keys.

    Raises:
        ConfigError: when that is no valid recipe; names `source`.
    """
    data = recipe.model_dump(mode="json")
    for key, value in values.items():
        *sections, last = key.split(".")
        place = data
        for section in sections:
            if place.get(section) is None:
                place[section] = {}
            place = place[section]
            if not isinstance(place, dict):
                raise ConfigError(f"{source}: '{section}' is a value, not a section")
        place[last] = value
    return recipe_from_dict(data, source)
