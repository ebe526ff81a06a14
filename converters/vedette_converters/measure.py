"""What one inference of a variant costs on this machine."""

from __future__ import annotations

import os
import platform
import resource
import time

import numpy as np

from vedette_edge.manifest import Measured
from vedette_edge.runtimes.base import Session
from vedette_edge.types import FloatArray

__all__ = ["measure"]

_WARM_UP = 3
_KIB = 1024


def measure(session: Session, clip: FloatArray, *, runs: int = 20) -> Measured:
    """Time single-clip inference.

    Args:
        session: the loaded variant, using all cores.
        clip: (1, C, T, H, W) float32.
        runs: timed calls, after a warm-up.
    """
    for _ in range(_WARM_UP):
        session.run(clip)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(clip)
        times.append(1000 * (time.perf_counter() - start))
    return Measured(
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        threads=os.cpu_count() or 1,
        p50_ms=round(float(np.percentile(times, 50)), 3),
        p95_ms=round(float(np.percentile(times, 95)), 3),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
    )
