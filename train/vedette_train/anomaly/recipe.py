"""A recipe for anomaly detection: everything that decides how a detector is trained, as strict YAML.

Which layers are read decides how many channels the detector sees; a recipe may state that number, and is
refused when it contradicts the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import InputSpec
from vedette_train.settings import Section, read_settings, validate

__all__ = [
    "CHANNELS",
    "AnomalyRecipe",
    "AnomalySettings",
    "BackboneSettings",
    "ThresholdSettings",
    "anomaly_recipe_from_dict",
    "load_anomaly_recipe",
]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Layer = Literal["layer1", "layer2", "layer3", "layer4"]
Triple = tuple[float, float, float]

# Channels of layer1..layer4, which have the strides 4, 8, 16 and 32.
CHANNELS: dict[str, tuple[int, int, int, int]] = {
    "resnet18": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "wide_resnet50_2": (256, 512, 1024, 2048),
    "mobilenet_v2": (24, 32, 96, 320),
}


class InputSettings(Section):
    """How a picture becomes the network's input."""

    height: int = Field(512, ge=32)
    width: int = Field(512, ge=32)
    crop: Literal["stretch", "center", "letterbox"] = "stretch"
    mean: Triple = Field((0.485, 0.456, 0.406), description="What the backbone's weights were trained with.")
    std: Triple = (0.229, 0.224, 0.225)
    white: int = Field(65535, ge=255, le=65535, description="White in 16-bit pictures; 4095 for 12 bits.")

    def spec(self, *, faithful: bool = False) -> InputSpec:
        """Return the same as the device's manifest says it: a clip of one frame, (1, 3, 1, H, W)."""
        return InputSpec(
            frames=1,
            fps=1.0,
            height=self.height,
            width=self.width,
            crop=self.crop,
            color="rgb",
            axes="NCTHW",
            mean=(0.0, 0.0, 0.0) if faithful else self.mean,
            std=(1.0, 1.0, 1.0) if faithful else self.std,
        )


class DataSettings(Section):
    """Which pictures: `train/good`, `test/good`, `test/bad` and perhaps `ground_truth/bad` below the root."""

    root: Path | None = Field(None, description="The dataset's folder; --data sets it.")
    input: InputSettings = InputSettings()
    val_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of train/good that is not trained on: it chooses the epoch and the threshold.",
    )
    max_unreadable: Fraction = Field(0.05, description="Share of damaged pictures that is let pass.")
    test: bool = Field(True, description="Judge test/ after training. False: train only.")


class BackboneSettings(Section):
    """The network whose features are looked at."""

    name: Literal["resnet18", "resnet50", "wide_resnet50_2", "mobilenet_v2"] = "resnet50"
    layers: tuple[Layer, ...] = Field(("layer2",), min_length=1)
    weights: str | None = Field(
        "torchvision", description="'torchvision' downloads ImageNet's; or a .pth file. None: random."
    )

    @property
    def channels(self) -> int:
        """Channels of all layers together."""
        return sum(CHANNELS[self.name][int(layer[-1]) - 1] for layer in self.layers)


class AnomalySettings(Section):
    """The detector on top of the features."""

    method: Literal["featcae", "defects"] = Field(
        "featcae",
        description="featcae: what an autoencoder cannot rebuild [DFR, Yang et al. 2020]. defects: what "
        "looks like a drawn defect [DRAEM, Zavrtanik et al. 2021; NSA, Schlueter et al. 2022].",
    )
    in_channels: int | None = Field(None, ge=1, description="Derived from the layers; stated, it must agree.")
    latent_dim: int = Field(100, ge=1, description="featcae: channels of the bottleneck.")
    batch_norm: bool = Field(True, description="featcae: batch norm between the layers.")
    standardise: bool = Field(False, description="featcae: bring every channel to mean 0 and deviation 1.")
    width: int = Field(64, ge=8, description="defects: channels of the head.")
    patches: int = Field(
        0, ge=0, description="defects: good patches from which the distance is added; 0: none."
    )
    patch_weight: float = Field(3.0, gt=0, description="defects: how much that distance counts.")
    stride: int = Field(8, ge=1, description="defects: pixels of the input to a cell of the map.")
    top_k: int = Field(10, ge=1, description="The score is the mean of the k largest values of the map.")
    relative: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Measure each map against this quantile of itself (featcae: as a ratio, defects: as a "
        "difference). None: as it is.",
    )
    border: int = Field(3, ge=0, description="Cells at each border that no score and no picture shows.")


class DrawSettings(Section):
    """How training pictures are changed; all but `defects` hold for every method."""

    hflip: Fraction = 0.0
    vflip: Fraction = 0.0
    zoom: float = Field(
        0.0, ge=0, le=1, description="How far height and width are scaled, each by exp(+-this)."
    )
    light: float = Field(0.0, ge=0, le=2, description="How far gain, gamma and slope of the light vary.")
    defects: Fraction = Field(0.6, description="Method defects: how often a picture gets any.")
    variants: int = Field(
        0,
        ge=0,
        description="Ways in which each picture is changed, in turn, so that their features can be kept. 0: "
        "another one every epoch.",
    )
    most: int = Field(2, ge=1, description="Method defects: the most that one picture gets.")


class AnomalyTrainSettings(Section):
    """The loop."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(4, ge=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "cosine"] = "constant"
    average: float = Field(
        0.0, ge=0, lt=1, description="Keep a moving average of the weights with this decay; 0: the weights."
    )
    patience: int | None = Field(None, ge=1, description="Epochs without a lower validation loss; None: all.")
    keep: Literal["best", "last"] = "best"
    cache_mb: int = Field(1024, ge=0, description="Memory for features of pictures that come again.")
    device: Literal["auto", "cpu", "cuda"] = "auto"


class ThresholdSettings(Section):
    """From which score on a picture is bad; fitted on good pictures only."""

    rule: Literal["mu_k_sigma", "quantile", "false_alarms"] = "mu_k_sigma"
    k: float = Field(3.0, description="mu_k_sigma: mean + k deviations of the scores.")
    quantile: float = Field(0.99, gt=0, lt=1, description="quantile: share of good pictures below it.")
    max_false_alarms_per_1000: float = Field(
        10.0, gt=0, lt=1000, description="false_alarms: most good pictures of 1000 that may be called bad."
    )
    fit_on: Literal["held_out", "train"] = Field(
        "held_out", description="train: as published, too low, because these pictures were fitted."
    )


class PictureSettings(Section):
    """How heatmaps are drawn."""

    colormap: str = Field("magma", description="Any of matplotlib's.")
    alpha: Fraction = Field(0.5, description="Opacity of the overlay.")
    figure_size: tuple[float, float] = Field((20.0, 5.0), description="Inches.")
    dpi: int = Field(100, ge=30, le=600)
    panels: int = Field(12, ge=0, description="Test pictures drawn as panels, good and bad in turn.")
    overlays: bool = Field(True, description="Write every test picture with its heatmap laid over it.")


class AnomalyRecipe(Section):
    """A whole training run of an anomaly detector."""

    task: Literal["anomaly"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    description: str = ""
    seed: int = Field(0, ge=0)
    faithful: bool = Field(
        False,
        description="As published: no normalisation, a split that ignores near-duplicates. For comparison.",
    )
    data: DataSettings = DataSettings()
    backbone: BackboneSettings = BackboneSettings()
    anomaly: AnomalySettings = AnomalySettings()
    draw: DrawSettings = DrawSettings()
    train: AnomalyTrainSettings = AnomalyTrainSettings()
    threshold: ThresholdSettings = ThresholdSettings()
    pictures: PictureSettings = PictureSettings()

    @property
    def spec(self) -> InputSpec:
        """How a picture becomes the network's input, in the device's words."""
        return self.data.input.spec(faithful=self.faithful)

    @property
    def stride(self) -> int:
        """Pixels of the input from one cell of the map to the next."""
        finest = 2 ** (int(self.backbone.layers[0][-1]) + 1)
        return self.anomaly.stride if self.anomaly.method == "defects" else finest

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_anomaly_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> AnomalyRecipe:
    """Read a recipe; see `settings.read_settings`.

    Raises:
        ConfigError: when it cannot be found or is not valid; names every wrong key.
    """
    data, source = read_settings(name_or_path, overrides)
    return anomaly_recipe_from_dict(data, source)


def anomaly_recipe_from_dict(data: dict[str, Any], source: str) -> AnomalyRecipe:
    """Validate a recipe.

    Raises:
        ConfigError: names `source` and every wrong key, or two settings that contradict each other.
    """
    recipe = validate(data, AnomalyRecipe, source)
    for problem in _contradictions(recipe):
        raise ConfigError(f"{source}: {problem}")
    return recipe


def _contradictions(recipe: AnomalyRecipe) -> list[str]:
    backbone, settings, frame = recipe.backbone, recipe.anomaly, recipe.data.input
    found = []
    if list(backbone.layers) != sorted(set(backbone.layers)):
        found.append(
            f"backbone.layers must go from fine to coarse, each once, got {', '.join(backbone.layers)}"
        )
    if settings.in_channels not in (None, backbone.channels):
        found.append(
            f"anomaly.in_channels is {settings.in_channels}, but {' + '.join(backbone.layers)} of "
            f"{backbone.name} have {backbone.channels} channels; correct it or leave it out"
        )
    if min(frame.std) <= 0:
        found.append(f"data.input.std must be positive, got {list(frame.std)}")
    rows, columns = -(-frame.height // recipe.stride), -(-frame.width // recipe.stride)
    inner = (rows - 2 * settings.border) * (columns - 2 * settings.border)
    if min(rows, columns) <= 2 * settings.border or inner < settings.top_k:
        found.append(
            f"the map has {rows} x {columns} cells; without anomaly.border {settings.border} that leaves "
            f"fewer than anomaly.top_k {settings.top_k}; enlarge data.input"
        )
    return found
