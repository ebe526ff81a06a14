"""Which layers suffer from int8: how far the outputs move when one layer alone computes in it.

The ranking says which layers to leave in float when a network loses too much as a whole [Wu et al., 2020,
arXiv 2004.09602, section 5.1, there by accuracy, which needs far more clips].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from vedette_train.fake_quant import calibrate, quantisable, simulated
from vedette_train.models import HeatmapModel

__all__ = ["movement", "sensitivity"]

_LEAST = 1e-12


@torch.no_grad()
def sensitivity(
    network: nn.Module,
    calibration_clips: Tensor,
    clips: Tensor,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Return how far logits and heatmap move when each layer alone computes in simulated int8.

    One forward pass a layer. The network is left as it was.

    Args:
        network: a `HeatmapModel` in evaluation mode, on any device.
        calibration_clips: (N, C, T, H, W), on that device: the ranges of the layers' inputs are theirs.
        clips: (M, C, T, H, W): what the outputs are compared on.
        on_progress: called with (done, total) layers.

    Returns:
        For each layer of `quantisable`, by name and the most sensitive first, the larger `movement` of the
        two outputs.
    """
    model = cast(HeatmapModel, network)
    ranges, reference = calibrate(network, calibration_clips), model.forward_with_heatmap(clips)
    found: dict[str, float] = {}
    layers = quantisable(network)
    for name in layers:
        with simulated(network, ranges, [name]):
            outputs = model.forward_with_heatmap(clips)
        found[name] = max(movement(*pair) for pair in zip(outputs, reference, strict=True))
        if on_progress:
            on_progress(len(found), len(layers))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def movement(found: Tensor, reference: Tensor) -> float:
    """Return the mean |difference| of two tensors of one shape, relative to the mean |reference|."""
    return float((found - reference).abs().mean() / reference.abs().mean().clamp(min=_LEAST))
