"""Times two callables in turn and reports the ratio pair by pair, because shared machines drift."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much longer the reference takes than the subject, over pairs of runs."""

    name: str
    subject_ms: float
    reference_ms: float
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.name:<66} {self.subject_ms:9.1f} ms  against {self.reference_ms:9.1f} ms   "
            f"{self.median:5.2f}x  ({self.low:.2f} to {self.high:.2f})"
        )


def compare(
    name: str, subject: Callable[[], object], reference: Callable[[], object], *, pairs: int = 9
) -> Ratio:
    """Run both in turn after one warm-up each; the ratio is reference / subject."""
    subject()
    reference()
    timed = [(_milliseconds(subject), _milliseconds(reference)) for _ in range(pairs)]
    ratios = sorted(slow / fast for fast, slow in timed)
    return Ratio(
        name,
        statistics.median(fast for fast, _ in timed),
        statistics.median(slow for _, slow in timed),
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
    )


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)
