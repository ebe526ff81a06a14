"""Gives recorded frames when their time has come, as a camera would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from vedette_edge.sources.base import Clock, Pause
from vedette_edge.types import Frame

__all__ = ["Pace", "paced"]

Pace: TypeAlias = Literal["realtime", "fast"]
"""`realtime` gives each frame when its time has come, `fast` gives them at once."""


def paced(frames: Iterable[Frame], pace: Pace, pause: Pause, clock: Clock) -> Iterator[Frame]:
    """Yield `frames`, whose times begin at 0, each when it is due; end when `pause` says so.

    A late frame is given at once, and the delay does not add up.
    """
    began: float | None = None
    for frame in frames:
        now = clock()
        if began is None:
            began = now
        wait = began + frame.time - now if pace == "realtime" else 0.0
        if pause(max(0.0, wait)):
            return
        yield frame
