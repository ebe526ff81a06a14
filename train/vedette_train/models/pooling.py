"""Means over the cells of a grid, as two matrix products.

The same as adaptive average pooling, for any number of cells and of places, but in operators that every
runtime has; the transposed matrices are the way back.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bin_shares", "grid_means"]


def grid_means(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return the means over the cells of a grid: (..., H, W) to (..., rows, columns).

    Cells may share places, as in `torch.nn.functional.adaptive_avg_pool2d`.
    """
    means: Tensor = bin_shares(rows, x.shape[-2], x) @ x @ bin_shares(columns, x.shape[-1], x).T
    return means


def bin_shares(bins: int, length: int, like: Tensor) -> Tensor:
    """Return how a mean over each of `bins` bins weighs `length` places: (bins, length).

    Args:
        bins: number of rows, each of which sums to 1.
        length: number of places.
        like: gives dtype and device.
    """
    rows = []
    for index in range(bins):
        start, end = index * length // bins, -(-(index + 1) * length // bins)
        rows.append([0.0] * start + [1.0 / (end - start)] * (end - start) + [0.0] * (length - end))
    return torch.tensor(rows, dtype=like.dtype, device=like.device)
