"""Simulated int8: a network computes with values that are rounded as an int8 runtime rounds them.

Weights are int8, symmetric, with a scale for each output channel. What goes into a convolution or a linear
layer is 8 bit, asymmetric, with one scale a tensor. Sums stay whole [Jacob et al., 2018, arXiv 1712.05877;
Krishnamoorthi, 2018, arXiv 1806.08342]. Gradients pass the rounding as if it were not there, and stop where a
value was cut off.

Batch norm may be folded into a weight before or after: folding multiplies each output channel by a number,
and so its largest magnitude and its scale, and the integers are the same.

While a block runs, the rounded weight hides the parameter of the same name, which stays where it is. So the
names in checkpoints are those of the plain network, and what reads a weight without calling its layer, as
class maps do, reads the rounded one. (What it multiplies the weight by is not rounded.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

__all__ = [
    "Ranges",
    "calibrate",
    "followed",
    "input_scale",
    "observed",
    "quantisable",
    "range_of",
    "round_input",
    "round_weight",
    "simulated",
    "weight_scales",
    "widened",
]

# Of what goes into a layer, by its name: (2,) float32, the least and the greatest value, zero between them.
Ranges = dict[str, Tensor]

_LARGEST = 127  # of an int8 that is symmetric about 0
_STEPS = 255
_LEAST_SCALE = 1e-12  # where all is zero
_PACE = 0.05  # of a range that follows what it sees, for each batch
_BATCH = 8


def weight_scales(weight: Tensor) -> Tensor:
    """Return max|w| / 127 of each output channel: (O, ...) to (O,)."""
    return (weight.detach().flatten(1).abs().amax(dim=1) / _LARGEST).clamp(min=_LEAST_SCALE)


def round_weight(weight: Tensor) -> Tensor:
    """Return a weight (O, ...) as int8 has it, in floats."""
    scales = weight_scales(weight)
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -_LARGEST, _LARGEST)


def range_of(x: Tensor) -> Tensor:
    """Return the least and the greatest value, (2,) float32; zero lies between them."""
    least, greatest = x.detach().float().aminmax()
    return torch.stack([least.clamp(max=0.0), greatest.clamp(min=0.0)])


def widened(before: Tensor, seen: Tensor) -> Tensor:
    """Return the range, (2,), that holds both."""
    return torch.stack([torch.minimum(before[0], seen[0]), torch.maximum(before[1], seen[1])])


def followed(before: Tensor, seen: Tensor) -> Tensor:
    """Return the exponential moving average of a range, (2,), after one more batch."""
    return before.lerp(seen, _PACE)


def input_scale(bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale, float32, and zero point, int32, with which a range, (2,), is told in 0..255.

    The value is `scale * (q - zero_point)`, so zero is exact.
    """
    least, greatest = bounds
    scale = ((greatest - least) / _STEPS).clamp(min=_LEAST_SCALE)
    # A loss that is not finite is told where it is computed; here it must only get through.
    zero_point = torch.round(-least / scale).nan_to_num().clamp(0, _STEPS)
    return scale, zero_point.to(torch.int32)


def round_input(x: Tensor, bounds: Tensor) -> Tensor:
    """Return values as 8 bit have them in a range, (2,), in floats; those outside are cut off."""
    return torch.fake_quantize_per_tensor_affine(x, *input_scale(bounds), 0, _STEPS)


def quantisable(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that an int8 runtime computes in int8, by name: convolutions and linear layers."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return {name: module for name, module in network.named_modules() if isinstance(module, kinds)}


@contextmanager
def observed(
    network: nn.Module, ranges: Ranges, merge: Callable[[Tensor, Tensor], Tensor] = widened
) -> Iterator[None]:
    """Let the inputs of all layers be seen while the block runs.

    Args:
        network: any.
        ranges: changed in place; a layer's first range is that of its first input.
        merge: makes the range before and that of an input one.
    """

    def see(name: str, x: Tensor) -> None:
        seen = range_of(x)
        ranges[name] = merge(ranges[name], seen) if name in ranges else seen

    with _at_inputs(quantisable(network), see):
        yield


@contextmanager
def simulated(network: nn.Module, ranges: Ranges, names: Collection[str] | None = None) -> Iterator[None]:
    """Let layers compute in simulated int8 while the block runs; afterwards the network is as it was.

    Args:
        network: any; gradients reach its weights.
        ranges: of the layers' inputs; an input without one is not rounded.
        names: of the layers; by default all of `quantisable`.
    """
    layers = {name: layer for name, layer in quantisable(network).items() if names is None or name in names}

    def rounded(name: str, x: Tensor) -> Tensor | None:
        return round_input(x, ranges[name]) if name in ranges else None

    with _at_inputs(layers, rounded):
        try:
            for layer in layers.values():
                vars(layer)["weight"] = round_weight(layer.get_parameter("weight"))
            yield
        finally:
            for layer in layers.values():
                vars(layer).pop("weight", None)


@torch.no_grad()
def calibrate(network: nn.Module, clips: Tensor) -> Ranges:
    """Return the ranges of all that goes into the layers, as calibration after training finds them.

    Args:
        network: in evaluation mode.
        clips: (N, C, T, H, W), on the network's device.
    """
    ranges: Ranges = {}
    with observed(network, ranges):
        for batch in torch.split(clips, _BATCH):
            network(batch)
    return ranges


@contextmanager
def _at_inputs(layers: dict[str, nn.Module], act: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Let `act` see what goes into each layer, with its name, and replace it unless it returns None."""

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], Tensor | None]:
        return lambda _, given: act(name, given[0])

    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_pre_hook(hook_of(name)).remove)
        yield
