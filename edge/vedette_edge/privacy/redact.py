"""Hides what a detector finds, before a picture leaves the device or is stored.

It fails closed: where the detector fails, the whole picture is made unrecognisable.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from vedette_edge.privacy.detectors import Detector
from vedette_edge.types import Box, Image

__all__ = ["Clear", "Mosaic", "Redactor", "hide"]

_log = logging.getLogger(__name__)

_CELLS = 8  # along the longer side of what is hidden: a face of 8 x 8 cells tells nobody who it is
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Redactor(Protocol):
    """Makes a picture fit to be seen."""

    def redact(self, image: Image) -> Image:
        """Return the picture without what nobody may see; the one given stays as it is. Never raises."""
        ...


class Clear:
    """The redactor of a camera that has nothing to hide."""

    def redact(self, image: Image) -> Image:
        """Return the picture itself."""
        return image


class Mosaic:
    """Lays a mosaic over what a detector finds; threads may share it."""

    def __init__(self, detector: Detector, margin: float) -> None:
        """Hide what `detector` finds, and `margin` of its size around it on each side."""
        self._detector = detector
        self._margin = margin
        self._failing = False

    def redact(self, image: Image) -> Image:
        """Return the picture with mosaics; see `Redactor`."""
        try:
            hidden = hide(image, [_grown(box, self._margin) for box in self._detector.find(image)])
            self._failing = False
        except Exception as error:
            if not self._failing:
                _log.error("the detector for privacy fails, so whole pictures are hidden: %s", error)
            self._failing = True
            hidden = hide(image, [_WHOLE])
        return hidden


def hide(image: Image, boxes: Sequence[Box]) -> Image:
    """Return a copy of the picture with a mosaic over each box, in fractions of the picture."""
    hidden = image.copy()
    # Large ones first: a mosaic over a mosaic is coarser still.
    for box in sorted(boxes, key=lambda box: -box.w * box.h):
        _pixelate(hidden, box)
    return hidden


def _grown(box: Box, margin: float) -> Box:
    across, down = margin * box.w, margin * box.h
    return Box(box.x - across, box.y - down, box.w + 2 * across, box.h + 2 * down)


def _pixelate(image: Image, box: Box) -> None:
    height, width = image.shape[:2]
    left, top = max(0, int(box.x * width)), max(0, int(box.y * height))
    right = min(width, int(np.ceil((box.x + box.w) * width)))
    bottom = min(height, int(np.ceil((box.y + box.h) * height)))
    if left >= right or top >= bottom:
        return
    part = image[top:bottom, left:right]
    cell = max(part.shape[:2]) / _CELLS
    cells = max(1, round(part.shape[1] / cell)), max(1, round(part.shape[0] / cell))
    coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
