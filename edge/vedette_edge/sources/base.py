"""What the agent asks of a source of frames: one method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from vedette_edge.types import Frame

__all__ = ["Clock", "Feed", "Pause", "Source", "Wanted", "always"]

Pause: TypeAlias = Callable[[float], bool]
"""Waits that many seconds, 0 included; returns True, at once, when the source shall end."""

Clock: TypeAlias = Callable[[], float]
"""Seconds, rising."""


Wanted: TypeAlias = Callable[[float], bool]
"""Asked once of each frame in turn, by its time, before it is converted; False: it is left out."""


def always(_time: float) -> bool:
    """Want every frame."""
    return True


class Source(Protocol):
    """A stream of pictures."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the stream ends or the source is told to end.

        Raises:
            VideoError: when the stream cannot be opened or decoded.
        """
        ...


class Feed(Source, Protocol):
    """A source that keeps itself going, and counts what that took."""

    @property
    def seen(self) -> int:
        """Frames that the camera gave, wanted or not."""
        ...

    @property
    def dropped(self) -> int:
        """Frames dropped before they reached the agent, because it was behind."""
        ...

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        ...
