"""The networks, by name.

Adding one takes a module with a class built from keyword arguments, and one line in `MODELS`. The class takes
`num_classes`, and may ask for `in_channels` and `frames`, which it is then told; without `in_channels` it
takes `channels` of them, a class attribute, 3 by default. It has `forward` (clips to logits), and, to be
exported, `forward_with_heatmap` and `heatmap_cells` (`HeatmapModel`).

>>> model = create_model("mobilenet_v2_3d", num_classes=17, width_mult=1.0, mode="standard")
>>> sum(parameter.numel() for parameter in model.parameters())
2375825
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any, Protocol, cast

from torch import Tensor, nn

from vedette_edge.manifest import Cells, InputSpec

__all__ = ["MODELS", "HeatmapModel", "create_for_input", "create_model", "takes"]

MODELS: dict[str, tuple[str, str]] = {
    "ds3d_baseline": ("vedette_train.models.dual_stream", "Ds3dBaseline"),
    "ds3d_fgattnet": ("vedette_train.models.dual_stream", "Ds3dFgAttNet"),
    "early_fusion_2d": ("vedette_train.models.simple", "EarlyFusion2d"),
    "late_fusion": ("vedette_train.models.simple", "LateFusion"),
    "mobilenet_v2_3d": ("vedette_train.models.mobilenet_v2_3d", "MobileNetV2_3d"),
    "per_frame_2d": ("vedette_train.models.simple", "PerFrame2d"),
    "r3d_18": ("vedette_train.models.r3d_18", "R3d18"),
    "simple_3d": ("vedette_train.models.simple", "Simple3d"),
    # Names that published experiments use.
    "2d_per_frame_avg": ("vedette_train.models.simple", "PerFrame2d"),
    "3d": ("vedette_train.models.simple", "Simple3d"),
    "pretrained_resnet": ("vedette_train.models.r3d_18", "R3d18"),
}


class HeatmapModel(Protocol):
    """A classifier that can say where it looked.

    Attributes:
        heatmap_cells: where the cells of its class maps lie in the input.
    """

    heatmap_cells: Cells

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T', H', W')."""
        ...


def create_model(name: str, **arguments: Any) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: a key of `MODELS`.
        **arguments: of the network's class.

    Raises:
        ValueError: when the name or an argument is unknown, or an argument's value is out of range.
    """
    model = _class_of(name)
    known = _parameters(model)
    for argument in arguments:
        if argument not in known and argument != "num_classes":
            near = get_close_matches(argument, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it takes: {', '.join(known)}"
            raise ValueError(f"{name} takes no '{argument}', {hint}")
    try:
        return model(**arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error


def create_for_input(name: str, num_classes: int, spec: InputSpec, **arguments: Any) -> nn.Module:
    """Build a network for an input, telling it the channels and frames where its class asks for them.

    Raises:
        ValueError: as `create_model`, and when the network cannot take this input.
    """
    model = _class_of(name)
    offered = {"in_channels": spec.channels, "frames": spec.frames}
    given = {key: value for key, value in offered.items() if key in _parameters(model)}
    channels = given.get("in_channels", getattr(model, "channels", 3))
    if spec.channels != channels:
        raise ValueError(
            f"{name} takes {channels} channels, data.input has {spec.channels} (streams: {spec.streams})"
        )
    return create_model(name, num_classes=num_classes, **given, **arguments)


def takes(name: str, **arguments: Any) -> tuple[int, int]:
    """Return channels and frames of clips that a network takes; any number of frames: 16.

    Args:
        name: a key of `MODELS`.
        **arguments: that it is built with.

    Raises:
        ValueError: when the name is unknown.
    """
    model = _class_of(name)
    parameters = signature(model).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items()} | arguments
    return defaults.get("in_channels", getattr(model, "channels", 3)), defaults.get("frames", 16)


def _class_of(name: str) -> type[nn.Module]:
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(sorted(MODELS))}"
        raise ValueError(f"unknown model '{name}', {hint}")
    module, class_name = MODELS[name]
    return cast("type[nn.Module]", getattr(import_module(module), class_name))


def _parameters(model: type[nn.Module]) -> list[str]:
    return [name for name in signature(model).parameters if name not in ("num_classes", "self")]
