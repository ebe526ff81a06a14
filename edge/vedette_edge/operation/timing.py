"""Measures stages of a pipeline from the outside: they are stages themselves, or wrap one."""

from __future__ import annotations

import time
from collections.abc import Callable

from vedette_edge.metrics import Durations
from vedette_edge.pipeline import Gate, Gated
from vedette_edge.publish.base import Message
from vedette_edge.types import Frame

__all__ = ["QueueClock", "TimedGate"]


class QueueClock:
    """A guard that notes how long a frame waited from its capture on."""

    def __init__(self, durations: Durations, clock: Callable[[], float] = time.monotonic) -> None:
        """Note in `durations`; `clock` is that of the capture."""
        self._durations = durations
        self._clock = clock

    def push(self, frame: Frame, captured: float | None = None) -> list[Message]:  # noqa: ARG002 - a stage's
        """Note the wait; there is nothing to send."""
        if captured is not None:
            self._durations.add(self._clock() - captured)
        return []

    def finish(self) -> list[Message]:
        """Return nothing."""
        return []


class TimedGate:
    """A gate, and how long it takes."""

    def __init__(self, gate: Gate, durations: Durations) -> None:
        """Note in `durations` what `gate` takes."""
        self._gate = gate
        self._durations = durations

    def push(self, frame: Frame) -> Gated:
        """Take the next frame."""
        with self._durations.timed():
            return self._gate.push(frame)
