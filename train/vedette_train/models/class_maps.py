"""Class maps: the evidence for each class at each place, in forward operators that every runtime has.

Where a network pools globally and ends in one linear layer, the map is `sum_c w[k, c] * A[c]` (ADR 0004).
Where it takes a maximum, the map belongs to the place that won. Winners are told apart by more than
rounding: the frames of a still clip give the same scores but for the last digits, and another runtime must
not draw another heatmap for that.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = [
    "AGGREGATIONS",
    "above_zero",
    "aggregation_shares",
    "check_aggregation",
    "linear_evidence",
    "nearness",
    "winners",
]

AGGREGATIONS = ("mean", "max")
_SAME_LOGIT = 1e-3


def linear_evidence(features: Tensor, head: nn.Linear) -> Tensor:
    """Return `sum_c w[k, c] * A[c]` at each place.

    Args:
        features: A, the last feature maps (N, C, T, H, W).
        head: the linear layer behind global average pooling.

    Returns:
        (N, K, T, H, W); its mean over T, H, W plus the bias is the logit.
    """
    return nn.functional.conv3d(features, head.weight[:, :, None, None, None])


def winners(x: Tensor, dim: int | tuple[int, ...], slack: float) -> Tensor:
    """Return each entry's share of the maximum: 1 at the maximum, 0 elsewhere, evenly divided among equals.

    The derivative of `amax`, made continuous: entries less than `slack` below the maximum are given a part.

    Args:
        x: any shape.
        dim: over which the maximum is taken; the shares sum to 1 over it.
        slack: in units of `x`.
    """
    near = nearness(x, x.amax(dim, keepdim=True), slack)
    return near / near.sum(dim, keepdim=True)


def nearness(x: Tensor, largest: Tensor, slack: float) -> Tensor:
    """Return 1 where x is `largest`, 0 where it is less by `slack` or more, a ramp between."""
    return (1.0 - (largest - x) / slack).clamp(min=0.0)


def above_zero(x: Tensor, slack: float) -> Tensor:
    """Return 0 where x <= 0, 1 where x >= slack, a ramp between: the derivative of ReLU, made continuous."""
    return (x / slack).clamp(0.0, 1.0)


def aggregation_shares(logits: Tensor, dim: int, aggregation: str) -> Tensor:
    """Return how much each of several judges says; the shares sum to 1 over `dim`.

    Args:
        logits: the judges' scores for each class.
        dim: the axis of the judges.
        aggregation: `mean` gives all the same share, `max` all to the highest score of each class.
    """
    if aggregation == "max":
        return winners(logits, dim, _SAME_LOGIT)
    return logits.new_full(logits.shape, 1.0 / logits.shape[dim])


def check_aggregation(aggregation: str) -> str:
    """Return the aggregation.

    Raises:
        ValueError: when it is none of `AGGREGATIONS`.
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(f"unknown aggregation '{aggregation}', expected one of: {', '.join(AGGREGATIONS)}")
    return aggregation
