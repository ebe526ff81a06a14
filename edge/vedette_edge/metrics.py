"""Durations and memory, for the node's `metrics`."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path

import numpy as np

from vedette_edge.topics import Percentiles

__all__ = ["Durations", "resident_bytes"]

_KEPT = 1000


class Durations:
    """The latest 1,000 durations, from any thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._kept: deque[float] = deque(maxlen=_KEPT)
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take one duration."""
        with self._lock:
            self._kept.append(seconds)
            self._count += 1

    def percentiles(self) -> Percentiles:
        """Return the spread of those kept, in milliseconds, and how many there were in all."""
        with self._lock:
            values, count = np.array(self._kept) * 1000.0, self._count
        if not count:
            return Percentiles(count=0, p50=0.0, p95=0.0, max=0.0)
        p50, p95 = (round(float(np.percentile(values, part)), 2) for part in (50, 95))
        return Percentiles(count=count, p50=p50, p95=p95, max=round(float(values.max()), 2))


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        pages = int(statm.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
