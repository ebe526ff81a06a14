"""A thread that does what nobody should wait for, one thing after the other, and some housekeeping."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Background"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PERIOD = 60.0  # seconds between two times of housekeeping


class Background(Generic[T]):
    """Handles items in order, in a thread of its own."""

    def __init__(self, name: str, handle: Callable[[T], None], tidy: Callable[[], None]) -> None:
        """Start the thread; it tidies at once, and once a minute.

        Args:
            name: of the thread.
            handle: takes one item; what it raises is logged, and the next item follows.
            tidy: the housekeeping; the same holds of it.
        """
        self._handle = handle
        self._tidy = tidy
        self._items: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._items.qsize()

    def put(self, item: T) -> None:
        """Let an item be handled; never blocks."""
        self._items.put(item)

    def stop(self) -> None:
        """Let the thread end once it has handled what waits."""
        self._items.put(None)

    @property
    def finished(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                self._guarded(self._tidy)
                due = time.monotonic() + _PERIOD
            try:
                item = self._items.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                continue
            if item is None:
                return
            self._guarded(partial(self._handle, item))

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            # A defect: but a thread that died of it would take all later clips with it.
            _log.exception("%s: cannot go on with this one", self._thread.name)
