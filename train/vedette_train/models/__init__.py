"""The networks, by name.

Adding one takes a module with a class built from keyword arguments, and one line in `MODELS`. A model
that the converter can export has `forward` (clips to logits) and `forward_with_heatmap`.

>>> model = create_model("mobilenet_v2_3d", num_classes=17, width_mult=1.0, mode="standard")
>>> sum(parameter.numel() for parameter in model.parameters())
2375825
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from torch import Tensor, nn

from vedette_edge.manifest import Cells

__all__ = ["MODELS", "HeatmapModel", "create_model"]

MODELS: dict[str, tuple[str, str]] = {
    "mobilenet_v2_3d": ("vedette_train.models.mobilenet_v2_3d", "MobileNetV2_3d"),
}


class HeatmapModel(Protocol):
    """A classifier that can say where it looked.

    Attributes:
        heatmap_cells: where the cells of its class maps lie in the input.
    """

    heatmap_cells: Cells

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, 3, T, H, W) to logits (N, K) and class maps (N, K, T', H', W')."""
        ...


def create_model(name: str, **arguments: Any) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: a key of `MODELS`.
        **arguments: of the network's class.

    Raises:
        ValueError: when the name or an argument is unknown, or an argument's value is out of range.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}', expected one of: {', '.join(sorted(MODELS))}")
    module, class_name = MODELS[name]
    try:
        return cast(nn.Module, getattr(import_module(module), class_name)(**arguments))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
