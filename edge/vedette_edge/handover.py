"""A bounded queue between a capture thread and an inference thread.

When it is full, either the capture waits (`lossless`, for files) or the oldest item is dropped and counted
(for cameras: an old frame is worth less than a new one). Waiting on either side is told to a heartbeat at
least twice a second, so a watchdog can tell waiting from hanging.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["HandOver"]

T = TypeVar("T")

_BEAT = 0.5  # seconds


class HandOver(Generic[T]):
    """Hands items from one thread to another, in order."""

    def __init__(self, capacity: int, *, lossless: bool) -> None:
        """Hold at most `capacity` items; `lossless` makes `put` wait where it would drop."""
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._lossless = lossless
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many items were dropped."""
        return self._dropped

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def put(self, item: T, beat: Callable[[], None]) -> bool:
        """Hand an item over; return False, without it, once the queue is closed."""
        with self._changed:
            while self._lossless and len(self._items) >= self._capacity and not self._closed:
                beat()
                self._changed.wait(_BEAT)
            if self._closed:
                return False
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()
        return True

    def get(self, beat: Callable[[], None]) -> T | None:
        """Take the oldest item, waiting for one; return None once the queue is closed and empty."""
        with self._changed:
            while not self._items and not self._closed:
                beat()
                self._changed.wait(_BEAT)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
        return item

    def close(self) -> None:
        """Take no more items; those inside can still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
