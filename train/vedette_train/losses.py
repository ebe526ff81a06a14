"""What a network is taught beside the label."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vedette_edge.manifest import Cells

__all__ = ["distillation", "evidence_in_quiet_places", "symmetric_divergence"]


def evidence_in_quiet_places(clips: Tensor, heatmap: Tensor, labels: Tensor, cells: Cells) -> Tensor:
    """Return how far the evidence for the true class lies from where something happens.

    A network may learn that a person on the floor leaves the upper half of the picture empty, and then
    points at the emptiness. Penalising such evidence makes it point at the person, in the spirit of
    "right for the right reasons" [Ross et al., 2017, arXiv 1703.03717].

    Args:
        clips: (N, C, T, H, W), zero where nothing is to be seen: differences of frames.
        heatmap: (N, K, T', H', W') class maps.
        labels: (N,) int.
        cells: where the maps' cells lie in the clip.

    Returns:
        Scalar in 0..1: the mean quietness, 0 where most happens and 1 where nothing does, of the places
        that a softmax over the class map chooses.
    """
    action = _around_cells(clips.abs().mean(dim=(1, 2)), cells, heatmap.shape[3], heatmap.shape[4])
    quiet = (1.0 - action / action.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)) ** 2
    evidence = heatmap.mean(dim=2)[range(len(labels)), labels]
    chosen = evidence.flatten(1).softmax(dim=1)
    return (quiet.flatten(1) * chosen).sum(dim=1).mean()


def symmetric_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return how much two predictions differ: the mean of KL(p || q) and KL(q || p) [Jeffreys 1946].

    Of a clip and the clip one frame later, it teaches the network not to flicker.

    Args:
        first: (N, K) logits.
        second: (N, K) logits.

    Returns:
        Scalar >= 0, in nats, the mean over the batch.
    """
    p, q = F.log_softmax(first, dim=1), F.log_softmax(second, dim=1)
    forward = F.kl_div(q, p, reduction="batchmean", log_target=True)
    backward = F.kl_div(p, q, reduction="batchmean", log_target=True)
    return 0.5 * (forward + backward)


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return how far a network is from its teacher [Hinton et al., 2015, arXiv 1503.02531]: T^2 KL(t || s).

    T^2 keeps its gradient as large as that of the labels' loss, whatever the temperature.

    Args:
        student: (N, K) logits.
        teacher: (N, K) logits, without gradient.
        temperature: T, by which both are divided.

    Returns:
        Scalar >= 0, in nats, the mean over the batch.
    """
    wanted = F.log_softmax(teacher / temperature, dim=1)
    found = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * F.kl_div(found, wanted, reduction="batchmean", log_target=True)


def _around_cells(values: Tensor, cells: Cells, rows: int, columns: int) -> Tensor:
    """Return the mean of (N, H, W) a stride around each cell's centre, (N, rows, columns)."""
    stride = round(cells.stride)
    low = math.floor(cells.first - (stride + 1) / 2)
    window = math.ceil(cells.first + (stride + 1) / 2) - low
    right, below = (
        low + (count - 1) * stride + window - size
        for count, size in ((columns, values.shape[2]), (rows, values.shape[1]))
    )
    stacked = torch.stack([values, torch.ones_like(values)])
    # Pads where a window reaches beyond the picture, which counts for nothing, and cuts what no window sees.
    padded = F.pad(stacked, (-low, right, -low, below))
    sums, pixels = F.avg_pool2d(padded, window, stride, divisor_override=1).unbind()
    mean: Tensor = sums / pixels.clamp(min=1.0)
    return mean
