"""How much of a picture moves. Cheap, and blind to light.

A small grey picture is compared with a running background, both as local contrast: the logarithm of the
brightness less that of its surroundings, so that light that changes over large areas, suddenly or not,
cancels out. A place moves when it differs by more than its own usual unrest (noise, leaves, flicker), and
its neighbours do too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.types import FloatArray, Image

__all__ = ["MotionDetector", "Polygon"]

Polygon = Sequence[tuple[float, float]]
"""Corners (x, y) in fractions of the picture, y downwards."""

_WIDTH, _LEAST_HEIGHT = 160, 16  # pixels of the small picture
_DARK = 16.0  # grey levels below which contrast is mostly noise
_SURROUNDINGS = (15, 15)  # pixels of the small picture
_BACKGROUND = 1.5  # seconds in which the background follows; with 1.0 a slow exercise was seen late
_UNREST = 30.0  # seconds over which a place's unrest is learnt
_LEAST_CHANGE = 0.06  # of local contrast, at sensitivity 0.5; 0.06 is six parts in a hundred
_TIMES_UNREST = 4.0
_MOST = 3.0  # times the least change: no unrest may hide more than this
_NEIGHBOURS = 0.5  # of the 3 x 3 places around one, those that must have changed too


class MotionDetector:
    """Follows the pictures of one camera."""

    def __init__(self, sensitivity: float = 0.5, masks: Sequence[Polygon] = ()) -> None:
        """Begin without a background.

        Args:
            sensitivity: 0..1; each tenth more sees changes that are 13 % fainter.
            masks: where motion does not count.
        """
        self._least = _LEAST_CHANGE * 4.0 ** (0.5 - sensitivity)
        self._masks = masks
        self.reset()

    def reset(self) -> None:
        """Forget the background; the next picture is a new one."""
        self._background: FloatArray | None = None
        self._unrest = np.zeros((0, 0), np.float32)
        self._counts = np.zeros((0, 0), np.bool_)
        self._time = 0.0

    def push(self, image: Image, time: float) -> float:
        """Return the share of the unmasked picture that moves, 0..1; 0 for the first one.

        Args:
            image: (H, W, 3) uint8, BGR.
            time: seconds, not before the picture before.
        """
        contrast = local_contrast(small_grey(image))
        if self._background is None or self._background.shape != contrast.shape:
            self._background = contrast
            self._unrest = np.zeros_like(contrast)
            self._counts = _unmasked(contrast.shape, self._masks)
            self._time = time
            return 0.0
        change = np.abs(contrast - self._background)
        limit = np.clip(_TIMES_UNREST * self._unrest, self._least, _MOST * self._least)
        moved = cv2.blur((change > limit).astype(np.float32), (3, 3)) > _NEIGHBOURS
        passed, self._time = time - self._time, time
        self._background += _share(passed, _BACKGROUND) * (contrast - self._background)
        self._unrest += _share(passed, _UNREST) * (np.minimum(change, self._least) - self._unrest)
        total = int(self._counts.sum())
        return float(np.count_nonzero(moved & self._counts)) / total if total else 0.0


def small_grey(image: Image) -> NDArray[np.uint8]:
    """Return a BGR picture (H, W, 3) as a grey one, 160 pixels wide, of the same aspect."""
    height = max(_LEAST_HEIGHT, round(image.shape[0] * _WIDTH / image.shape[1]))
    # Turned grey first: shrinking by area costs more than that, a channel.
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (_WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def local_contrast(grey: NDArray[np.uint8]) -> FloatArray:
    """Return ln(brightness) less its mean over the surroundings, float32 of the same shape."""
    light = np.log(grey.astype(np.float32) + np.float32(_DARK))
    return np.asarray(light - cv2.blur(light, _SURROUNDINGS), dtype=np.float32)


def _share(passed: float, constant: float) -> np.float32:
    """Return how far a running mean follows in that time, 0..1, whatever the frame rate."""
    return np.float32(1.0 - math.exp(-max(0.0, passed) / constant))


def _unmasked(shape: tuple[int, ...], masks: Sequence[Polygon]) -> NDArray[np.bool_]:
    canvas = np.ones(shape, np.uint8)
    scale = np.array([shape[1], shape[0]], np.float64)
    for mask in masks:
        cv2.fillPoly(canvas, [np.round(np.array(mask) * scale).astype(np.int32)], 0)
    return np.asarray(canvas, dtype=np.bool_)
