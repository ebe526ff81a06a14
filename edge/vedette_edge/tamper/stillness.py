"""Whether a picture repeats the one before, where it should not: a live camera has noise. Pure."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from vedette_edge.types import Image

__all__ = ["Stillness"]

_STEP = 4  # every fourth pixel, as it is: a mean over pixels would hide the noise
_LOOKS, _LEAST_LOOKS = 240, 10
_USUAL = 10  # percentile of the differences, to be below those of motion
_LEAST_NOISE = 0.02  # grey levels; cameras and encoders with less repeat pictures by themselves
_STILL = 0.1  # of the usual difference, and of half a grey level: where much moves, noise alone is less
_MOST_NOISE = 0.5


class Stillness:
    """Knows by how much two pictures of this camera usually differ."""

    def __init__(self) -> None:
        """Begin without experience."""
        self._differences: deque[float] = deque(maxlen=_LOOKS)
        self._last: Image | None = None

    def push(self, image: Image) -> bool:
        """Take the next picture, (H, W, 3) uint8; return whether it repeats the one before unexpectedly."""
        now = np.ascontiguousarray(image[::_STEP, ::_STEP])
        before, self._last = self._last, now
        if before is None or before.shape != now.shape:
            return False
        difference = cv2.norm(now, before, cv2.NORM_L1) / now.size
        expected = self._expected
        if expected >= _LEAST_NOISE and difference <= _STILL * min(expected, _MOST_NOISE):
            return True
        self._differences.append(difference)
        return False

    def forget_last(self) -> None:
        """Take the next picture for the first of a stream; the experience stays."""
        self._last = None

    @property
    def _expected(self) -> float:
        if len(self._differences) < _LEAST_LOOKS:
            return 0.0
        return float(np.percentile(self._differences, _USUAL))
