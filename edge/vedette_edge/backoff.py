"""How long to wait before the next attempt at something that failed: doubling, with full jitter."""

from __future__ import annotations

__all__ = ["backoff"]

_FIRST, _MOST = 1.0, 60.0  # seconds


def backoff(attempt: int, fraction: float, most: float = _MOST) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0).

    Args:
        attempt: how many attempts failed before this one.
        fraction: a random number in 0..1, so that a thousand nodes do not come back at once.
        most: seconds that the doubling bound never exceeds.
    """
    return float(fraction * min(most, _FIRST * 2 ** min(attempt, 10)))
