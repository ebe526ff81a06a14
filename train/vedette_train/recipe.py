"""A recipe: everything that decides how a model is trained, as strict YAML.

Unknown keys, wrong types and values out of range are errors that name the key and the nearest known
one. `load_recipe` reads a file or a recipe that comes with the package, and applies `--set key=value`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision, InputSpec
from vedette_edge.validation import describe_errors

__all__ = [
    "AugmentSettings",
    "DataSettings",
    "InitSettings",
    "ModelSettings",
    "Recipe",
    "TrainSettings",
    "load_recipe",
    "packaged_recipes",
    "recipe_from_dict",
]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 1e-3 for a text, because it has no point; here it is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSettings(_Section):
    """Which network."""

    name: str = "mobilenet_v2_3d"
    width_mult: float = Field(1.0, gt=0, le=4)
    mode: Literal["standard", "high_temporal", "causal"] = "standard"
    dropout: Fraction = 0.2


class InitSettings(_Section):
    """Where its weights start."""

    weights: str | None = Field(
        None, description="2D ImageNet MobileNetV2 to inflate: 'torchvision', or a .pth file. None: random."
    )
    freeze_batchnorm: bool = Field(
        False, description="Keep running statistics; needed for weights with folded batch norm."
    )


class DataSettings(_Section):
    """Which videos, and how they become the network's input."""

    root: Path | None = Field(None, description="Folder of classes; --data sets it.")
    exclude: tuple[str, ...] = ()
    background: tuple[str, ...] = Field((), description="Labels that never raise an alarm.")
    input: InputSpec
    folds: int = Field(5, ge=2, description="The groups are dealt into this many folds.")
    fold: int = Field(0, ge=0, description="The fold to validate on.")
    clips_per_video: int = Field(1, ge=1, description="Windows drawn of each video an epoch.")
    max_unreadable: Fraction = 0.05


class AugmentSettings(_Section):
    """Random changes, one draw a clip."""

    crop_area: tuple[Share, Share] = Field((0.7, 1.0), description="Share of the picture that is kept.")
    crop_ratio: tuple[Positive, Positive] = Field((0.9, 1.1), description="Change of its proportions.")
    hflip: Fraction = 0.5
    rotate: float = Field(0.0, ge=0, le=180, description="Degrees, either way.")
    brightness: float = Field(0.2, ge=0)
    contrast: float = Field(0.2, ge=0)
    saturation: float = Field(0.2, ge=0)
    hue: float = Field(0.0, ge=0, le=0.5)

    @field_validator("crop_area", "crop_ratio")
    @classmethod
    def _is_ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the first number must not be above the second, got {list(value)}")
        return value


class TrainSettings(_Section):
    """The loop."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(8, ge=1)
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="sgd: Nesterov momentum 0.9.")
    lr: float = Field(1e-3, gt=0, description="Highest learning rate, of the classifier.")
    lr_pointwise: float | None = Field(None, gt=0, description="Of 1x1x1 convolutions; None: as lr.")
    lr_spatial: float | None = Field(None, gt=0, description="Of all other layers; None: as lr.")
    weight_decay: float = Field(0.01, ge=0)
    label_smoothing: Fraction = 0.0
    locality: float = Field(
        0.0,
        ge=0,
        description="Weight of a penalty on evidence where the clip shows nothing; without dropout.",
    )
    balance: bool = Field(False, description="Weigh the classes by the inverse of their frequency.")
    warmup: Fraction = Field(0.1, description="Share of all steps in which the rate rises; then cosine.")
    patience: int | None = Field(None, ge=1, description="Epochs without a lower loss before it stops.")
    keep: Literal["best", "last"] = Field("best", description="Epoch whose weights the run keeps.")
    precision: Literal["32", "16-mixed", "bf16-mixed"] = "32"
    workers: int = Field(0, ge=0, description="Processes that load data; 0: in the trainer's own.")


class Recipe(_Section):
    """A whole training run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    description: str = ""
    seed: int = Field(0, ge=0)
    model: ModelSettings = ModelSettings()
    init: InitSettings = InitSettings()
    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    decision: Decision

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def packaged_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    folder = Path(str(files("vedette_train") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name_or_path: a YAML file, or the name of a packaged recipe.
        overrides: `dotted.key=value`, the value in YAML; later ones win.

    Raises:
        ConfigError: when it cannot be found or is not valid; names every wrong key.
    """
    path = Path(name_or_path)
    packaged = packaged_recipes()
    if not path.is_file():
        if name_or_path not in packaged:
            raise ConfigError(f"no recipe '{name_or_path}': neither a file nor one of: {', '.join(packaged)}")
        path = packaged[name_or_path]
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(data).__name__}")
    for override in overrides:
        _apply(data, override)
    return recipe_from_dict(data, str(path))


def recipe_from_dict(data: dict[str, Any], source: str) -> Recipe:
    """Validate a recipe.

    Raises:
        ConfigError: names `source` and every wrong key.
    """
    try:
        # By way of JSON, where a strict model takes a list for a tuple and a string for a path.
        recipe = Recipe.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe_errors(error, Recipe)}") from error
    if recipe.train.locality and recipe.data.input.temporal != "difference":
        raise ConfigError(
            f"{source}: train.locality needs data.input.temporal: difference, where zero means that nothing "
            "happens"
        )
    if recipe.data.fold >= recipe.data.folds:
        raise ConfigError(f"{source}: data.fold is {recipe.data.fold}, with data.folds {recipe.data.folds}")
    return recipe


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, such as train.epochs=5")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML ({error})") from error
    *sections, last = key.split(".")
    place = data
    for section in sections:
        nested = place.setdefault(section, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"--set {override}: '{section}' is a value, not a section")
        place = nested
    place[last] = value
