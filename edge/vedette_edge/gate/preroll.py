"""The latest frames of a stream, bounded in time and in bytes."""

from __future__ import annotations

from collections import deque

from vedette_edge.types import Frame

__all__ = ["Preroll"]

_SPARSEST = 0.5  # seconds between two frames, so that no judge takes it for a gap


class Preroll:
    """Keeps the frames of the last seconds.

    Where they are too large for the bound, every second one goes, so that the time stays covered; judges
    sample by time and repeat what is missing. Only when frames would be half a second apart do the oldest go.
    """

    def __init__(self, seconds: float, max_bytes: int, least: int = 1) -> None:
        """Keep `seconds`, at most `max_bytes` of pictures, but always the last `least` frames."""
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._least = least
        self._frames: deque[Frame] = deque()
        self._spacing = 0.0

    @property
    def bytes(self) -> int:
        """Size of the pictures that are kept."""
        return sum(frame.image.nbytes for frame in self._frames)

    def push(self, frame: Frame) -> None:
        """Keep a frame; those that are too old go, and those that are too many."""
        frames = self._frames
        # The newest one is always kept, and makes way for the next where that comes too soon.
        if len(frames) > max(1, self._least) and frames[-1].time - frames[-2].time < self._spacing:
            frames.pop()
        frames.append(frame)
        while len(frames) > self._least and frame.time - frames[0].time > self._seconds:
            frames.popleft()
        while len(frames) > self._least and self.bytes > self._max_bytes:
            self._thin()

    def take(self) -> list[Frame]:
        """Return the frames, oldest first, and forget them."""
        frames = list(self._frames)
        self._frames.clear()
        self._spacing = 0.0
        return frames

    def _thin(self) -> None:
        frames = self._frames
        mean = (frames[-1].time - frames[0].time) / (len(frames) - 1)
        if 2 * mean > _SPARSEST:
            frames.popleft()
            return
        self._spacing = 2 * mean
        # Counted from the newest, which stays.
        self._frames = deque(list(frames)[::-1][::2][::-1])
