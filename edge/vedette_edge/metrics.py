"""Durations, rates and memory, for the node's `metrics`, for Prometheus and for `edge-agent status`."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.topics import Percentiles

__all__ = [
    "Durations",
    "Histogram",
    "Rate",
    "Stages",
    "family_resident_bytes",
    "resident_bytes",
    "spread",
]

_KEPT = 1000
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
_WINDOW = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations there were, by length, since the beginning.

    Attributes:
        bounds: upper bounds of the buckets, seconds, rising; the last one is infinite.
        counts: durations up to each bound, those of smaller buckets included.
        total: seconds of all durations together.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Durations:
    """All durations by bucket, and the latest 1,000 as they were; from any thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._kept: deque[float] = deque(maxlen=_KEPT)
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Take one duration."""
        with self._lock:
            self._kept.append(seconds)
            self._buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._total += seconds

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Take the duration of what is done inside, whether or not it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(time.monotonic() - began)

    def percentiles(self) -> Percentiles:
        """Return the spread of those kept, in milliseconds, and how many there were in all."""
        return spread([self])

    def histogram(self) -> Histogram:
        """Return all durations by bucket."""
        with self._lock:
            counts, total = np.cumsum(self._buckets), self._total
        return Histogram((*_BOUNDS, float("inf")), tuple(map(int, counts)), total)

    def _snapshot(self) -> tuple[NDArray[np.float64], int]:
        with self._lock:
            return np.array(self._kept), sum(self._buckets)


def spread(parts: Iterable[Durations]) -> Percentiles:
    """Return the spread of what all parts kept, in milliseconds, and how many there were in all."""
    snapshots = [part._snapshot() for part in parts]
    count = sum(number for _, number in snapshots)
    if not count:
        return Percentiles(count=0, p50=0.0, p95=0.0, max=0.0)
    values = np.concatenate([kept for kept, _ in snapshots]) * 1000.0
    p50, p95 = (round(float(np.percentile(values, part)), 2) for part in (50, 95))
    return Percentiles(count=count, p50=p50, p95=p95, max=round(float(values.max()), 2))


@dataclass(frozen=True, slots=True)
class Stages:
    """How long each stage between two threads takes; a model's inference and the link keep their own.

    Attributes:
        queue: from capture of a frame to the start of its processing.
        gate: of the motion gate, a frame.
        decide: of decision and drawing, a verdict.
    """

    queue: Durations = field(default_factory=Durations)
    gate: Durations = field(default_factory=Durations)
    decide: Durations = field(default_factory=Durations)


class Rate:
    """How fast a counter rises: looked at now and then, over ten seconds or since the look before.

    A counter that begins again is one that rose from nothing at that look.
    """

    def __init__(self) -> None:
        """Begin without a look."""
        self._looks: deque[tuple[float, int]] = deque()

    def at(self, now: float, count: int) -> float:
        """Return the rise a second; 0 at the first look.

        Args:
            now: seconds of a clock that only rises.
            count: what the counter shows.
        """
        if self._looks and count < self._looks[-1][1]:
            self._looks.clear()
        self._looks.append((now, count))
        # The oldest look is kept until the one after it spans the window by itself.
        while len(self._looks) > 2 and now - self._looks[1][0] >= _WINDOW:
            self._looks.popleft()
        began, first = self._looks[0]
        return (count - first) / (now - began) if now > began else 0.0


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Return the resident memory of a process in bytes; 0 where the system does not tell."""
    try:
        pages = int(statm.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def family_resident_bytes(proc: Path = Path("/proc")) -> int:
    """Return the resident memory of this process and its children in bytes; shared memory counts for each."""
    children = {
        child for file in proc.glob("self/task/*/children") for child in _read_or_nothing(file).split()
    }
    return sum(resident_bytes(proc / name / "statm") for name in ("self", *sorted(children)))


def _read_or_nothing(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # a thread that has just ended
        return ""
