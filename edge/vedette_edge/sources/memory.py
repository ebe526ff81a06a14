"""The in-memory twin of a camera, for tests and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Pause
from vedette_edge.types import Frame

__all__ = ["MemorySource"]


class MemorySource:
    """Gives frames from memory, then ends or fails."""

    seen = 0
    dropped = 0
    restarts = 0

    def __init__(self, frames: Iterable[Frame], pause: Pause, failure: VideoError | None = None) -> None:
        """Give `frames`, then raise `failure` if there is one."""
        self._frames = frames
        self._pause = pause
        self._failure = failure

    def frames(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            VideoError: the failure that was asked for.
        """
        for frame in self._frames:
            if self._pause(0.0):
                return
            self.seen += 1
            yield frame
        if self._failure is not None:
            raise self._failure
