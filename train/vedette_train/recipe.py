"""A recipe: everything that decides how a model is trained, as strict YAML.

Unknown keys, wrong types and values out of range are errors that name the key and the nearest known
one. `load_recipe` reads a file or a recipe that comes with the package, and applies `--set key=value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision, InputSpec
from vedette_train.settings import Section, packaged_recipes, read_settings, validate

__all__ = [
    "AugmentSettings",
    "DataSettings",
    "InitSettings",
    "ModelSettings",
    "PruneSettings",
    "QuantiseSettings",
    "Recipe",
    "TrainSettings",
    "load_recipe",
    "packaged_recipes",
    "recipe_from_dict",
]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class ModelSettings(BaseModel):
    """Which network: its name in `models.MODELS`, and its own arguments beside it.

    What a network takes, only its class knows: `models.build` refuses a wrong one and names those there are.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: str = "mobilenet_v2_3d"

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class InitSettings(Section):
    """Where its weights start."""

    weights: str | None = Field(
        None,
        description="Published weights: 'torchvision', or a .pth file; of the 2D ImageNet MobileNetV2 to "
        "inflate, or of r3d_18 on Kinetics. None: random.",
    )
    run: Path | None = Field(None, description="A finished run whose weights to go on from (fine-tuning).")
    freeze_batchnorm: bool = Field(
        False, description="Keep running statistics; needed for weights with folded batch norm."
    )
    freeze: tuple[str, ...] = Field((), description="Beginnings of names of layers that are not trained.")
    probe: int = Field(
        0,
        ge=0,
        description="Before training, fit the last layer on the frozen features of so many augmented draws "
        "of each video; 0: do not. With train.epochs 0 that is all [Kumar et al. 2022, LP-FT].",
    )


class DataSettings(Section):
    """Which videos, and how they become the network's input."""

    root: Path | None = Field(None, description="Folder of classes; --data sets it.")
    exclude: tuple[str, ...] = ()
    background: tuple[str, ...] = Field((), description="Labels that never raise an alarm.")
    input: InputSpec
    split_file: Path | None = Field(
        None, description="CSV with columns path,part (train, val or test); instead of dealing the groups."
    )
    folds: int = Field(5, ge=2, description="The groups are dealt into this many folds.")
    fold: int = Field(0, ge=0, description="The fold to test on: what the run reports.")
    val_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the other folds, by group, on which epochs, temperature and thresholds are "
        "chosen. 0: none are chosen.",
    )
    clips_per_video: int = Field(1, ge=1, description="Windows drawn of each video an epoch.")
    max_unreadable: Fraction = 0.05
    blind: Literal["rgb", "flow"] | None = Field(
        None, description="For ablations: the network sees a blank in place of this stream."
    )
    faithful: bool = Field(
        False, description="The published dual-stream data path, defects included, for comparison only."
    )


class AugmentSettings(Section):
    """Random changes, one draw a clip."""

    crop_area: tuple[Share, Share] = Field((0.7, 1.0), description="Share of the picture that is kept.")
    crop_ratio: tuple[Positive, Positive] = Field((0.9, 1.1), description="Change of its proportions.")
    motion_crop: Fraction = Field(
        0.0, description="How often the crop is laid where the flow is strongest, instead of anywhere."
    )
    hflip: Fraction = Field(0.5, description="How often left and right change places; flow turns with it.")
    time_reverse: Fraction = Field(0.0, description="How often the clip runs backwards; flow turns with it.")
    rotate: float = Field(0.0, ge=0, le=180, description="Degrees, either way.")
    brightness: float = Field(0.2, ge=0)
    contrast: float = Field(0.2, ge=0)
    saturation: float = Field(0.2, ge=0)
    hue: float = Field(0.0, ge=0, le=0.5)
    cutout: Fraction = Field(0.0, description="How often a square is blanked in all frames.")
    cutout_size: Fraction = Field(0.1, description="Side of that square, as a share of the picture's.")
    flow_noise: float = Field(0.0, ge=0, description="Standard deviation added to the scaled flow.")

    @field_validator("crop_area", "crop_ratio")
    @classmethod
    def _is_ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the first number must not be above the second, got {list(value)}")
        return value


class PruneSettings(Section):
    """Masks on the weakest channels of every convolution while training [Li et al. 2017, L2 norm]."""

    start: Fraction = Field(0.05, description="Share of channels masked when the ramp begins.")
    end: Fraction = Field(0.3, description="Share of channels masked when it ends.")
    warmup: int = Field(2, ge=0, description="Epochs before the ramp.")
    epochs: int = Field(10, ge=1, description="Epochs of the ramp.")
    compounding: bool = Field(
        False, description="As published: each step prunes what is left, so far more than `end` is lost."
    )


class QuantiseSettings(Section):
    """Training in simulated int8, so that the weights bear it [Jacob et al. 2018, arXiv 1712.05877].

    Best with `init.run`, a small rate and `init.freeze_batchnorm`: what is trained is then what is converted.
    """

    observe: Fraction = Field(
        0.1, description="Share of all steps that compute in float and only see which values there are."
    )
    freeze_after: Share = Field(
        0.6, description="Share of all steps after which the ranges of the values stay as they are."
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> QuantiseSettings:
        if self.observe >= self.freeze_after:
            raise ValueError(f"observe {self.observe} must be below freeze_after {self.freeze_after}")
        return self


class TrainSettings(Section):
    """The loop."""

    epochs: int = Field(20, ge=0, description="0 only with init.probe.")
    batch_size: int = Field(8, ge=1)
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = Field(
        "adamw", description="sgd: Nesterov momentum 0.9."
    )
    lr: float = Field(1e-3, gt=0, description="Highest learning rate, of the classifier.")
    lr_pointwise: float | None = Field(None, gt=0, description="Of 1x1x1 convolutions; None: as lr.")
    lr_spatial: float | None = Field(None, gt=0, description="Of all other layers; None: as lr.")
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["cosine", "plateau", "step", "constant"] = Field(
        "cosine", description="What the rate does after the warm-up."
    )
    warmup: Fraction = Field(0.1, description="Share of all steps in which the rate rises.")
    step_epochs: int = Field(10, ge=1, description="Schedule step: epochs between two falls.")
    factor: float = Field(0.3, gt=0, lt=1, description="Schedules step and plateau: factor of each fall.")
    plateau_patience: int = Field(3, ge=1, description="Schedule plateau: epochs without gain before a fall.")
    grad_clip: float | None = Field(None, gt=0, description="Largest norm of the gradient.")
    label_smoothing: Fraction = 0.0
    locality: float = Field(
        0.0,
        ge=0,
        description="Weight of a penalty on evidence where the clip shows nothing; without dropout.",
    )
    consistency: float = Field(
        0.0,
        ge=0,
        description="Weight of the symmetric KL divergence between a clip and the clip one frame later.",
    )
    balance: bool = Field(False, description="Weigh the classes by the inverse of their frequency.")
    prune: PruneSettings | None = None
    quantise: QuantiseSettings | None = Field(None, description="Train for int8; None: for floats.")
    monitor: Literal["val_loss", "val_accuracy", "val_f1"] = Field(
        "val_loss", description="What the best epoch, early stopping and plateaus look at."
    )
    patience: int | None = Field(None, ge=1, description="Epochs without gain before it stops.")
    min_delta: float = Field(0.0, ge=0, description="The least that counts as a gain.")
    keep: Literal["best", "last"] = Field("best", description="Epoch whose weights the run keeps.")
    keep_epochs: bool = Field(False, description="Keep a checkpoint of every epoch.")
    precision: Literal["32", "16-mixed", "bf16-mixed"] = "32"
    workers: int = Field(0, ge=0, description="Processes that load data; 0: in the trainer's own.")
    limit_batches: float = Field(1.0, gt=0, le=1, description="Share of the batches of each epoch.")
    calibrate: bool = Field(True, description="Fit decision.temperature on the validation part.")

    @property
    def needs_validation(self) -> bool:
        """Whether something is chosen by how the validation part goes."""
        chosen = self.keep == "best" or self.patience is not None or self.schedule == "plateau"
        return chosen and self.epochs > 0


class Recipe(Section):
    """A whole training run."""

    task: Literal["classify"] = "classify"
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


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe; see `settings.read_settings`.

    Raises:
        ConfigError: when it cannot be found or is not valid; names every wrong key.
    """
    data, source = read_settings(name_or_path, overrides)
    return recipe_from_dict(data, source)


def recipe_from_dict(data: dict[str, Any], source: str) -> Recipe:
    """Validate a recipe.

    Raises:
        ConfigError: names `source` and every wrong key.
    """
    if data.get("task") == "anomaly":
        raise ConfigError(
            f"{source} is of anomaly detection; this is for clips and their classes. Its runs are judged "
            "with vedette-train evaluate and vedette-train anomaly; they cannot be converted yet"
        )
    recipe = validate(data, Recipe, source)
    if recipe.train.locality and recipe.data.input.temporal != "difference":
        raise ConfigError(
            f"{source}: train.locality needs data.input.temporal: difference, where zero means that nothing "
            "happens"
        )
    if not recipe.train.epochs and not recipe.init.probe:
        raise ConfigError(f"{source}: train.epochs is 0 and init.probe is 0: nothing would be trained")
    if recipe.data.val_share == 0 and not recipe.data.split_file and recipe.train.needs_validation:
        raise ConfigError(
            f"{source}: data.val_share is 0, so no epoch can be chosen; set train.keep: last, without "
            "patience and without schedule: plateau"
        )
    if recipe.data.blind and recipe.data.input.streams != "rgb+flow":
        raise ConfigError(
            f"{source}: data.blind needs data.input.streams: rgb+flow, found {recipe.data.input.streams}"
        )
    if recipe.data.fold >= recipe.data.folds:
        raise ConfigError(f"{source}: data.fold is {recipe.data.fold}, with data.folds {recipe.data.folds}")
    return recipe
