"""Starts a 3D MobileNetV2 from the 2D one that was trained on ImageNet.

Both have the same layer table, so each 2D kernel becomes a 3D one by spreading it over time
[Carreira and Zisserman, 2017, arXiv 1705.07750]. Kernels of a layer with time stride 1 sit in the
middle frame (the causal network: in the newest one), where the 3D network begins as the 2D one applied
to each frame. At time strides that would throw away half of the frames, so the kernel is spread
[1/4, 1/2, 1/4].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from vedette_edge.errors import DataError
from vedette_train.models.layers import PaddedConv3d
from vedette_train.weights import read_state_dict

__all__ = ["inflate", "load_imagenet_weights"]

_SPREAD = (0.25, 0.5, 0.25)
_KEPT = ("weight", "bias", "running_mean", "running_var")


def load_imagenet_weights(source: str) -> dict[str, Tensor]:
    """Return a 2D MobileNetV2 state dict with torchvision's key names.

    Args:
        source: a `.pth` file, or "torchvision" to download its `IMAGENET1K_V2` weights.

    Raises:
        DataError: when the file cannot be read as a state dict, or there is no network to download from.
    """
    if source == "torchvision":
        return _download()
    return read_state_dict(Path(source))


def _download() -> dict[str, Tensor]:
    import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

    from torchvision.models import MobileNet_V2_Weights

    try:
        state: dict[str, Tensor] = MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(progress=True)
    except OSError as error:
        raise DataError(
            f"cannot download the ImageNet weights ({error}); give a local file: --set init.weights=FILE"
        ) from error
    return state


def inflate(network: nn.Module, state_2d: Mapping[str, Tensor]) -> None:
    """Copy the weights of a 2D MobileNetV2 into the `features` of a 3D one, in place.

    The 3D network must have width 1.0; its classifier keeps its random weights.

    Args:
        network: a `MobileNetV2_3d`.
        state_2d: torchvision's key names; convolutions (O, I, k, k).

    Raises:
        DataError: when the two networks do not have the same layers; names the first that differs.
    """
    sources = list(_layers_2d(state_2d))
    targets = [m for m in network.modules() if isinstance(m, PaddedConv3d | nn.BatchNorm3d)]
    if len(sources) != len(targets):
        raise DataError(
            f"the weights have {len(sources)} layers, the network {len(targets)}: not a MobileNetV2"
        )
    with torch.no_grad():
        for (name, source), target in zip(sources, targets, strict=True):
            if isinstance(target, PaddedConv3d):
                _copy_kernel(name, source, target)
            else:
                _copy_norm(name, source, target)


def _layers_2d(state: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield (name, tensors) for each convolution and batch norm of `features`, in the network's order."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        if key.startswith("features.") and kind in _KEPT:
            layers.setdefault(name, {})[kind] = value
    yield from layers.items()


def _copy_kernel(name: str, source: Mapping[str, Tensor], target: PaddedConv3d) -> None:
    kernel = source.get("weight")
    if kernel is None or kernel.ndim != 4:
        raise DataError(f"{name}: not a convolution of 4 axes, as MobileNetV2 has here")
    time = target.kernel_size[0]
    taps: tuple[float, ...]
    if time == 1:
        taps = (1.0,)
    elif target.stride[0] > 1:
        taps = _SPREAD
    else:
        taps = (0.0, 0.0, 1.0) if target.causal else (0.0, 1.0, 0.0)
    inflated = torch.stack([kernel.float() * tap for tap in taps], dim=2)
    if inflated.shape != target.weight.shape:
        raise DataError(
            f"{name}: weights are {tuple(kernel.shape)}, the network's kernel is "
            f"{tuple(target.weight.shape)}; ImageNet weights fit width_mult 1.0 only"
        )
    target.weight.copy_(inflated)


def _copy_norm(name: str, source: Mapping[str, Tensor], target: nn.BatchNorm3d) -> None:
    for kind in _KEPT:
        tensor = getattr(target, kind)
        if kind not in source or source[kind].shape != tensor.shape:
            raise DataError(f"{name}.{kind}: missing or of another shape than {tuple(tensor.shape)}")
        tensor.copy_(source[kind])
