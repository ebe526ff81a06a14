"""A folder of pictures in the place of a camera."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.pacing import Pace, paced
from vedette_edge.types import Frame
from vedette_edge.video import pictures_in

__all__ = ["FolderSource"]

_log = logging.getLogger(__name__)


class FolderSource:
    """Gives the pictures of a folder once, in natural order of their names (2 before 10)."""

    def __init__(
        self,
        path: Path | str,
        pause: Pause,
        fps: float = 25.0,
        pace: Pace = "realtime",
        clock: Clock = time.monotonic,
        wanted: Wanted = always,
    ) -> None:
        """Read the folder `path`.

        Args:
            path: the folder.
            pause: how to wait, and how to learn that it is time to end.
            fps: pictures a second; a folder has no clock.
            pace: whether each picture waits for its time.
            clock: seconds, rising.
            wanted: which pictures are read and given.
        """
        self._path = Path(path)
        self._fps = fps
        self._pause = pause
        self._pace: Pace = pace
        self._clock = clock
        self._wanted = wanted

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures; one that cannot be read is left out, and its time stays empty.

        Raises:
            VideoError: when there is no such folder, or no readable picture in it.
        """
        yield from paced(self._read(), self._pace, self._pause, self._clock)

    def _read(self) -> Iterator[Frame]:
        try:
            paths = pictures_in(self._path)
        except OSError as error:
            raise VideoError(f"{self._path}: cannot read this folder ({error.strerror})") from error
        count = 0
        for index, path in enumerate(paths):
            if not self._wanted(index / self._fps):
                continue
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                _log.warning("%s: not a picture that OpenCV can read; it is left out", path)
                continue
            count += 1
            yield Frame(np.asarray(image, dtype=np.uint8), index / self._fps)
        if count == 0:
            raise VideoError(f"{self._path}: no readable picture in this folder (of {len(paths)})")
