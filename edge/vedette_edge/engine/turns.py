"""Calls of a loaded model: how many run at a time, how long they take, and whether one takes too long."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from vedette_edge.metrics import Durations

__all__ = ["Turns"]

T = TypeVar("T")


class Turns:
    """Lets a few calls through at a time; the others wait.

    Attributes:
        durations: of the calls, the waiting not counted.
    """

    def __init__(
        self,
        parallel: int = 1,
        *,
        on_busy: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let `parallel` calls through at a time.

        Args:
            parallel: how many.
            on_busy: told when the first call begins, and when the last has ended.
            clock: seconds; only rises.
        """
        self._places = threading.BoundedSemaphore(parallel)
        self._on_busy = on_busy
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._under_way: dict[int, float] = {}
        self.durations = Durations()

    def take(self, call: Callable[[], T]) -> T:
        """Make a call, as soon as there is a place."""
        with self._places:
            began, number = self._clock(), next(self._numbers)
            self._enter(number, began)
            try:
                result = call()
            finally:
                self._leave(number)
            self.durations.add(self._clock() - began)
        return result

    def longest(self, now: float) -> float:
        """Return for how many seconds the oldest call has been under way; 0 where there is none."""
        with self._lock:
            return now - min(self._under_way.values()) if self._under_way else 0.0

    def _enter(self, number: int, began: float) -> None:
        with self._lock:
            if not self._under_way:
                self._on_busy(True)
            self._under_way[number] = began

    def _leave(self, number: int) -> None:
        with self._lock:
            del self._under_way[number]
            if not self._under_way:
                self._on_busy(False)
