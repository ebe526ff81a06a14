"""A video file in the place of a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.pacing import Pace, paced
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

__all__ = ["FileSource"]


class FileSource:
    """Reads a file once, from start to end."""

    def __init__(
        self,
        path: Path | str,
        pause: Pause,
        pace: Pace = "realtime",
        clock: Clock = time.monotonic,
        wanted: Wanted = always,
    ) -> None:
        """Read `path`.

        Args:
            path: the video.
            pause: how to wait, and how to learn that it is time to end.
            pace: whether each frame waits for its time.
            clock: seconds, rising.
            wanted: which frames are converted and given.
        """
        self._path = Path(path)
        self._pause = pause
        self._pace: Pace = pace
        self._clock = clock
        self._wanted = wanted

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the file, with its times.

        Raises:
            VideoError: when the file is missing, not a video, or holds no readable frame.
        """
        frames = read_frames(self._path, wanted=self._wanted)
        yield from paced(frames, self._pace, self._pause, self._clock)
