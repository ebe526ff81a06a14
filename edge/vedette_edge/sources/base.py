"""What the agent asks of a source of frames: one method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from vedette_edge.types import Frame

__all__ = ["Clock", "Feed", "Pause", "Source"]

Pause: TypeAlias = Callable[[float], bool]
"""Waits that many seconds, 0 included; returns True, at once, when the source shall end."""

Clock: TypeAlias = Callable[[], float]
"""Seconds, rising."""


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
    def dropped(self) -> int:
        """Frames dropped before they reached the agent, because it was behind."""
        ...

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        ...
