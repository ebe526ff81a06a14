"""A video file in the place of a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from vedette_edge.sources.base import Pause
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

__all__ = ["FileSource"]


class FileSource:
    """Reads a file once, from start to end."""

    def __init__(
        self,
        path: Path,
        pause: Pause,
        pace: Literal["realtime", "fast"] = "realtime",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read `path`.

        Args:
            path: the video.
            pause: how to wait, and how to learn that it is time to end.
            pace: `realtime` gives each frame when its time has come, `fast` gives them at once.
            clock: seconds, rising.
        """
        self._path = path
        self._pause = pause
        self._pace = pace
        self._clock = clock

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the file.

        Raises:
            VideoError: when the file is missing, not a video, or holds no readable frame.
        """
        began: float | None = None
        for frame in read_frames(self._path):
            now = self._clock()
            if began is None:
                began = now
            wait = began + frame.time - now if self._pace == "realtime" else 0.0
            if self._pause(max(0.0, wait)):
                return
            yield frame
