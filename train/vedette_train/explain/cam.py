"""Where a network looked, for any convolutional layer: class activation maps in space and time.

Three methods. `heatmap` is the network's own second output, as the device computes it, without gradients.
`gradcam` [Selvaraju et al., 2017, arXiv 1610.02391] weighs each channel of a layer by its mean gradient;
`hirescam` [Draelos and Carin, 2020, arXiv 2011.08891] weighs each place of each channel by its own. Where
global average pooling and one linear layer follow, all three are the same up to the constant 1 / (T' H' W').
Evidence is signed here; whoever draws it cuts it at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple, TypeGuard, cast

import torch
from torch import Tensor, nn

from vedette_edge.errors import UsageError
from vedette_edge.manifest import Cells
from vedette_train.models import HeatmapModel

__all__ = ["METHODS", "Evidence", "Explainer", "cells_of", "explainer", "last_layer", "no_maps"]

METHODS = ("heatmap", "gradcam", "hirescam")


class Evidence(NamedTuple):
    """What a network says of a batch of clips, and where it sees it.

    Attributes:
        logits: (N, K) float32.
        shown: (N,) int64, the class that each map speaks of.
        maps: (N, T', H', W') float32, signed evidence for that class.
    """

    logits: Tensor
    shown: Tensor
    maps: Tensor


Explainer = Callable[[Tensor], Evidence]


def explainer(
    network: nn.Module, method: str = "heatmap", *, layer: str | None = None, label: int | None = None
) -> Explainer:
    """Return a function from clips (N, C, T, H, W) to their evidence, all on the network's device.

    Args:
        network: in evaluation mode.
        method: one of `METHODS`.
        layer: name of a module whose output is a feature map; by default the last one. Not for `heatmap`.
        label: the class to explain; by default the one that each clip is taken for.

    Raises:
        UsageError: when the network has no such layer, or no heatmap, or `heatmap` is given a layer.
    """
    if method == "heatmap":
        if layer:
            raise UsageError("--layer goes with --method gradcam or hirescam; heatmap is of the last layer")
        if not hasattr(network, "forward_with_heatmap"):
            raise UsageError(f"{type(network).__name__} has no heatmap of its own; use --method gradcam")
        return lambda clips: _own_heatmap(network, clips, label)
    if method not in METHODS:
        raise UsageError(f"no method '{method}', expected one of: {', '.join(METHODS)}")
    modules = dict(network.named_modules())
    if layer is not None and layer not in modules:
        near = get_close_matches(layer, modules, n=3) or [name for name, _ in network.named_children()]
        raise UsageError(f"{type(network).__name__} has no layer '{layer}'; near it: {', '.join(near)}")
    return _Cam(network, method, layer, label)


def no_maps(network: nn.Module) -> Explainer:
    """Return a function from clips to their logits alone: its maps have one cell, and say nothing."""

    def judge(clips: Tensor) -> Evidence:
        with torch.inference_mode():
            logits = network(clips)
        return Evidence(logits, logits.argmax(dim=1), logits.new_zeros((len(clips), 1, 1, 1)))

    return judge


def last_layer(network: nn.Module, clips: Tensor) -> str:
    """Return the name of the last module whose output is a feature map of more than one place.

    Raises:
        UsageError: when there is none.
    """
    found: list[str] = []
    handles = [
        module.register_forward_hook(_noting(name, found)) for name, module in network.named_modules() if name
    ]
    try:
        with torch.no_grad():
            network(clips[:1])
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise UsageError(f"{type(network).__name__} has no layer with a map of places; nothing can be shown")
    return found[-1]


def cells_of(network: nn.Module, side: int, cells: int) -> Cells | None:
    """Return where the cells of a map lie, for a layer of any depth; None: they divide the input evenly.

    Layers between the input and the last one lie as that one does: on the first pixel where strided
    convolutions pad symmetrically, in the middle of their patch where pooling divides.

    Args:
        network: its `heatmap_cells` says how the last layer lies.
        side: height of the input, pixels.
        cells: height of the map.
    """
    last: Cells | None = getattr(network, "heatmap_cells", None)
    if last is None or last.stride <= 1:
        return last
    stride = last.stride * 2.0 ** round(math.log2(side / cells / last.stride))
    return Cells(stride=stride, first=0.5 + (last.first - 0.5) * (stride - 1) / (last.stride - 1))


def _own_heatmap(network: nn.Module, clips: Tensor, label: int | None) -> Evidence:
    with torch.inference_mode():
        logits, heatmap = cast(HeatmapModel, network).forward_with_heatmap(clips)
    shown = _shown(logits, label)
    return Evidence(logits, shown, heatmap[torch.arange(len(clips), device=shown.device), shown])


class _Cam:
    """Grad-CAM or HiResCAM of one layer."""

    def __init__(self, network: nn.Module, method: str, layer: str | None, label: int | None) -> None:
        self._network = network
        self._method = method
        self._layer = layer
        self._label = label

    def __call__(self, clips: Tensor) -> Evidence:
        if self._layer is None:
            self._layer = last_layer(self._network, clips)
        kept: list[Tensor] = []
        handle = self._network.get_submodule(self._layer).register_forward_hook(_keeping(self._layer, kept))
        try:
            with torch.enable_grad():
                # The input asks for gradients too, for networks whose weights are frozen.
                logits = self._network(clips.detach().clone().requires_grad_())
                shown = _shown(logits, self._label)
                score = logits.gather(1, shown[:, None]).sum()
                (gradient,) = torch.autograd.grad(score, kept[-1])
        finally:
            handle.remove()
        features = _in_space_and_time(kept[-1].detach(), len(clips))
        weights = _in_space_and_time(gradient, len(clips))
        if self._method == "gradcam":
            weights = weights.mean(dim=(2, 3, 4), keepdim=True)
        return Evidence(logits.detach(), shown, (weights * features).sum(dim=1))


def _keeping(layer: str, kept: list[Tensor]) -> Callable[..., Tensor]:
    def keep(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        kept.append(_feature_map(output, layer))
        # A copy goes on, because the next layer may work in place.
        return kept[-1].clone()

    return keep


def _shown(logits: Tensor, label: int | None) -> Tensor:
    return logits.argmax(dim=1) if label is None else torch.full_like(logits.argmax(dim=1), label)


def _noting(name: str, found: list[str]) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if _is_feature_map(output) and output[0, 0].numel() > 1:
            found.append(name)

    return note


def _is_feature_map(output: object) -> TypeGuard[Tensor]:
    return isinstance(output, Tensor) and output.ndim in (4, 5)


def _feature_map(output: object, layer: str) -> Tensor:
    if not _is_feature_map(output):
        raise UsageError(f"the output of layer '{layer}' is no map of places; choose a convolution")
    return output


def _in_space_and_time(features: Tensor, clips: int) -> Tensor:
    """Return (N, C, T', H', W') for maps of a 3D layer, or of a 2D layer that saw each frame by itself."""
    if features.ndim == 5:
        return features
    return features.reshape(clips, -1, *features.shape[1:]).transpose(1, 2)
