"""Which channels leave, from their scores: numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vedette_train.slim.settings import SlimSettings

__all__ = ["channels_to_keep", "rounded"]


def channels_to_keep(scores: Sequence[Tensor], settings: SlimSettings) -> list[tuple[int, ...]]:
    """Return the channels that stay in each group, ascending; never none.

    Args:
        scores: (C,) for each group.
        settings: ratio, scope, the largest ratio of a group, and the multiple of widths.
    """
    # Stable, so that processes agree where scores are equal.
    orders = [torch.argsort(one, stable=True) for one in scores]
    most = [min(len(one) - 1, math.floor(settings.max_ratio * len(one) + 1e-9)) for one in scores]
    if settings.scope == "layer":
        counts = [
            min(top, math.floor(settings.ratio * len(one) + 1e-9))
            for one, top in zip(scores, most, strict=True)
        ]
    else:
        counts = _weakest_of_all(scores, orders, most, settings.ratio)
    return [
        tuple(
            sorted(order[len(order) - rounded(len(order) - count, len(order), settings.round_to) :].tolist())
        )
        for order, count in zip(orders, counts, strict=True)
    ]


def rounded(kept: int, channels: int, multiple: int) -> int:
    """Return the multiple next to `kept`, the upper one of two as near: at least one, at most `channels`."""
    return min(channels, max(1, math.floor(kept / multiple + 0.5)) * multiple)


def _weakest_of_all(
    scores: Sequence[Tensor], orders: Sequence[Tensor], most: Sequence[int], ratio: float
) -> list[int]:
    """Return how many leave each group when the weakest of all leave, but no more than `most` of each."""
    owners = [torch.full((top,), group) for group, top in enumerate(most)]
    candidates = [one[order[:top]] for one, order, top in zip(scores, orders, most, strict=True)]
    if not candidates:
        return []
    wanted = math.floor(ratio * sum(map(len, scores)) + 1e-9)
    weakest = torch.argsort(torch.cat(candidates), stable=True)[:wanted]
    return torch.bincount(torch.cat(owners)[weakest], minlength=len(scores)).tolist()
