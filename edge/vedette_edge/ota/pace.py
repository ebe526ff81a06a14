"""How long a visit may last, and how slowly bytes may come: pure, but for the clock.

A server, or who sits between, can keep a client busy for ever with a byte now and then. So each wait for the
network has an end, whatever is read: a status line, a header, the length of a chunk, or a body.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from vedette_edge.errors import TransportError

__all__ = ["WINDOW", "Pace"]

WINDOW: Final = 30.0  # seconds


class Pace:
    """One visit's deadline and least rate."""

    def __init__(
        self,
        deadline: float,
        least_rate: float,
        *,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a visit.

        Args:
            deadline: seconds, > 0, from now, for all that is fetched.
            least_rate: bytes a second, over each `window` of waiting; 0: one byte a window is enough.
            window: seconds, > 0.
            clock: seconds of a clock that only rises.
        """
        self._clock = clock
        self._end = clock() + deadline
        self._deadline = deadline
        self._window = window
        self._least = max(1.0, least_rate * window)
        self._waited = 0.0
        self._came = 0

    def begin_request(self) -> None:
        """Judge the rate anew: a request has gone out."""
        self._waited, self._came = 0.0, 0

    def patience(self) -> float:
        """Return how many seconds, > 0, may pass until the next byte.

        Raises:
            TransportError: when the visit's time is over.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise TransportError(
                f"the update took more than {self._deadline:g} s to fetch; what came is kept, and the next "
                "visit goes on from there"
            )
        return max(min(left, self._window - self._waited), 0.001)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[Callable[[int], None]]:
        """Time one wait for the network; what it brought is told to the function given.

        Time between waits, such as that of a slow disk, is not the server's.

        Raises:
            TransportError: when a window has passed and too little came, or the visit's time is over.
        """
        began = self._clock()
        with contextlib.suppress(TimeoutError):
            yield self._count
        self._waited += self._clock() - began
        # A timer may ring a little early; a window that is over but for that is over.
        if self._waited >= self._window - 0.001:
            if self._came < self._least:
                raise TransportError(
                    f"the server sent {self._came} bytes in {self._waited:.3g} s, at least {self._least:.0f} "
                    "are expected; what came is kept, and the next visit goes on from there"
                )
            self.begin_request()
        self.patience()

    def _count(self, came: int) -> None:
        self._came += came
