"""What is counted of a verdict, for the reference in a manifest as on the device. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vedette_edge.types import FloatArray, Image

__all__ = ["BINS", "margin", "picture_statistics", "score_bins"]

BINS = 10
"""Bins of equal width over 0..1 in which probabilities are counted."""


def score_bins(probabilities: FloatArray, bins: int = BINS) -> NDArray[np.intp]:
    """Return the bin, 0..bins-1, of each probability, in the shape of the array."""
    return np.asarray(np.minimum(probabilities * bins, bins - 1), dtype=np.intp)


def picture_statistics(fitted: Image) -> tuple[float, float]:
    """Return (brightness, contrast) of a picture as the network sees it, both 0..1.

    Args:
        fitted: (H, W, 3) uint8, in any channel order.

    Returns:
        The mean, and the standard deviation over the places, of the mean over the channels, 255 being 1.
    """
    grey = fitted.mean(axis=2, dtype=np.float32) / np.float32(255)
    return float(grey.mean()), float(grey.std())


def margin(probabilities: FloatArray) -> float:
    """Return how sure (K,) probabilities are, 0..1: the first less the second; of one, how far from 0.5."""
    if len(probabilities) == 1:
        return abs(2 * float(probabilities[0]) - 1)
    second, first = np.sort(probabilities)[-2:]
    return float(first - second)
