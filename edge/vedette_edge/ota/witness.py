"""Sees whether a candidate does its work: frames come, verdicts come, in time, and they are numbers.

`Witness` takes what cameras' threads tell it, and answers the supervisor; `why_too_slow` is pure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from vedette_edge.judges import Verdict
from vedette_edge.ota.evidence import Usual

__all__ = ["Witness", "patience_of", "why_too_slow"]

_FLOWING = 10.0  # seconds between two frames; more is a camera that gives none
_LEAST_PATIENCE = 60.0  # seconds
_TIMES = 8  # of the seconds between two verdicts
_LEAST_CALLS = 50  # before a latency says something
_SLOWER = 2.0
_MORE_DROPPED = 0.1


def patience_of(every: float | None, clip: float) -> float | None:
    """Return for how many seconds frames may come without a verdict; None: for ever.

    Args:
        every: seconds from one verdict to the next; None: verdicts come only when they are asked for.
        clip: seconds that a verdict looks back.
    """
    return None if every is None else max(_LEAST_PATIENCE, _TIMES * (every + clip))


def why_too_slow(calls: int, p95_ms: float, dropped: float, usual: Usual | None) -> str:
    """Return why a candidate is too slow for this device; "" where it is not, or nobody can tell yet.

    What a release may cost at all is in its budget, and was looked at by the probe. Here it is too slow when
    it takes twice what the model before it took, and cameras lose frames by that.

    Args:
        calls: of the candidate.
        p95_ms: of these, milliseconds.
        dropped: share of the frames for which there was no time.
        usual: the same of the model before it.
    """
    if usual is None or calls < _LEAST_CALLS:
        return ""
    if p95_ms <= _SLOWER * usual.p95_ms or dropped <= usual.dropped + _MORE_DROPPED:
        return ""
    return (
        f"it is too slow here: a call takes {p95_ms:.0f} ms (p95) and {dropped:.0%} of the frames are lost; "
        f"before it was {usual.p95_ms:.0f} ms and {usual.dropped:.0%}"
    )


class Witness:
    """Sees one candidate at work, in one phase and one run of the agent; from any thread.

    Attributes:
        verdicts: how many it gave.
        seconds: for how long frames came and verdicts came of them; while a camera is away, no time passes.
    """

    def __init__(self, patience: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            patience: seconds for which frames may come without a verdict; None: for ever.
            clock: seconds; only rises.
        """
        self.verdicts = 0
        self.seconds = 0.0
        self._patience = patience
        self._clock = clock
        self._last: float | None = None
        self._silent = 0.0
        self._trouble = ""
        self._lock = threading.Lock()

    def saw(self, verdicts: Sequence[Verdict]) -> None:
        """Take note that a frame came, and of what the candidate said at it."""
        numbers = all(np.isfinite(verdict.probabilities).all() for verdict in verdicts)
        now = self._clock()
        with self._lock:
            gap = 0.0 if self._last is None else now - self._last
            self._last = now
            self._silent += gap if gap <= _FLOWING else 0.0
            self.verdicts += len(verdicts)
            if not numbers:
                self._trouble = self._trouble or "its scores are not numbers"
            if verdicts or self._patience is None:
                self.seconds += self._silent
                self._silent = 0.0

    @property
    def trouble(self) -> str:
        """Why it must not stay; "" as long as nothing is known against it."""
        with self._lock:
            if self._patience is not None and self._silent > self._patience:
                return f"frames came for {self._silent:.0f} s and it gave no verdict"
            return self._trouble
