"""Live frames of OpenCV: all are decoded, as others need them; only the wanted ones are converted."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from vedette_edge.sources.base import Clock, Pause, Wanted
from vedette_edge.types import Frame

__all__ = ["grab_frames"]


def grab_frames(capture: cv2.VideoCapture, pause: Pause, clock: Clock, wanted: Wanted) -> Iterator[Frame]:
    """Yield the wanted frames of an open capture, dated when they arrive, until it or `pause` ends it."""
    while not pause(0.0) and capture.grab():
        now = clock()
        if not wanted(now):
            continue
        good, image = capture.retrieve()
        if not good:
            return
        yield Frame(np.asarray(image, dtype=np.uint8), now)
