"""Blackens places of a picture: every pixel that a mask touches, also one that it only cuts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np

from vedette_edge.types import Image

__all__ = ["Corners", "blacken"]

Corners: TypeAlias = Sequence[tuple[float, float]]
"""A polygon's corners (x, y) in fractions of the picture, y downwards."""

_CACHED = 64  # masks: one for each camera and size of picture


def blacken(image: Image, polygons: Sequence[Corners]) -> Image:
    """Blacken the polygons in place; return the same picture.

    Args:
        image: (H, W, 3) uint8, contiguous.
        polygons: at least three corners each.
    """
    if polygons:
        height, width = image.shape[:2]
        frozen = tuple(tuple((x, y) for x, y in polygon) for polygon in polygons)
        cv2.bitwise_and(image, _kept(frozen, width, height), dst=image)
    return image


@lru_cache(maxsize=_CACHED)
def _kept(polygons: tuple[tuple[tuple[float, float], ...], ...], width: int, height: int) -> Image:
    """Return (H, W, 3) uint8: 0 where a polygon lies, 255 elsewhere."""
    hidden = np.zeros((height, width), dtype=np.uint8)
    for polygon in polygons:
        # Corners are edges of the picture, pixels are centres: 0..1 becomes -0.5..size - 0.5.
        corners = np.array(polygon) * (width, height) - 0.5
        cv2.fillPoly(hidden, [np.rint(corners).astype(np.int32)], 255)
    # Corners were rounded to whole pixels, by up to half of one; so the mask grows by one all around.
    grown = cv2.dilate(hidden, np.ones((3, 3), dtype=np.uint8))
    return np.repeat(255 - grown[:, :, None], 3, axis=2)
