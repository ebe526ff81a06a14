"""Takes channels out of a network, as a record says; nothing is traced, so any process can repeat it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from vedette_edge.errors import DataError
from vedette_train.models.dual_stream_layers import Cbam3d
from vedette_train.slim.record import KeptChannels, KeptLayer, Slimming, composed

__all__ = ["CUTTABLE", "cut", "is_depthwise", "slimming_of", "width"]

CUTTABLE = (_ConvNd, nn.Linear, _NormBase)
_RECORD = "_slimming"


def slimming_of(network: nn.Module) -> Slimming | None:
    """Return what was removed from a network since it was built; None if nothing was."""
    return getattr(network, _RECORD, None)


def cut(network: nn.Module, slimming: Slimming) -> None:
    """Remove channels in place; the network remembers it, see `slimming_of`.

    Args:
        network: as the record's was: the dense one, or one that was cut before.
        slimming: what to keep.

    Raises:
        DataError: when the record is of another network; then nothing was cut.
    """
    layers = dict(network.named_modules())
    for name, kept in slimming.layers.items():
        if problem := _mismatch(layers.get(name), kept):
            raise DataError(f"slimming: the record is of another network: layer '{name}' {problem}")
    for name, kept in slimming.layers.items():
        _cut_layer(layers[name], kept)
    for name, module in network.named_modules():
        squeeze = slimming.layers.get(f"{name}.channel.squeeze")
        if isinstance(module, Cbam3d) and squeeze and squeeze.inputs:
            _scale_mean(module, squeeze.inputs)
    before = slimming_of(network)
    setattr(network, _RECORD, composed(before, slimming) if before else slimming)


def width(layer: nn.Module, side: str) -> int:
    """Return how many channels a layer of `CUTTABLE` has on a side, "inputs" or "outputs"."""
    if isinstance(layer, _ConvNd):
        return layer.in_channels if side == "inputs" else layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.in_features if side == "inputs" else layer.out_features
    assert isinstance(layer, _NormBase)
    return layer.num_features


def is_depthwise(layer: nn.Module) -> bool:
    """Tell whether each channel is filtered by itself, so that outputs are inputs."""
    return isinstance(layer, _ConvNd) and layer.groups == layer.in_channels == layer.out_channels > 1


def _mismatch(layer: nn.Module | None, kept: KeptLayer) -> str | None:
    if layer is None:
        return "is missing"
    if not isinstance(layer, CUTTABLE) or (kept.inputs and (is_depthwise(layer) or _is_norm(layer))):
        return f"cannot lose these channels, it is a {type(layer).__name__}"
    for side, channels in (("inputs", kept.inputs), ("outputs", kept.outputs)):
        if channels and channels.of != width(layer, side):
            return f"has {width(layer, side)} {side}, the record counts {channels.of}"
    return None


def _is_norm(layer: nn.Module) -> bool:
    return isinstance(layer, _NormBase)


def _cut_layer(layer: nn.Module, kept: KeptLayer) -> None:
    for name, tensor in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
        if tensor.ndim:
            setattr(layer, name, _like(tensor, _kept(tensor.detach(), kept)))
    if isinstance(layer, _ConvNd):
        weight = layer.weight
        if is_depthwise(layer):
            layer.groups = len(weight)
        layer.out_channels, layer.in_channels = weight.shape[0], weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, _NormBase) and kept.outputs:
        layer.num_features = len(kept.outputs.kept)


def _kept(tensor: Tensor, kept: KeptLayer) -> Tensor:
    if kept.outputs:
        tensor = tensor[list(kept.outputs.kept)]
    if kept.inputs and tensor.ndim > 1:
        tensor = tensor[:, list(kept.inputs.kept)]
    return tensor.contiguous()


def _like(tensor: Tensor, smaller: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    return smaller


@torch.no_grad()
def _scale_mean(attention: Cbam3d, kept: KeptChannels) -> None:
    """Let the spatial attention see the mean that it saw when the lost channels were zero."""
    attention.spatial.weight[:, 0] *= len(kept.kept) / kept.of
