"""How many messages may be under way: what is new first, what waited behind it, at a bounded rate.

Twenty messages are under way at most. Of those that waited through an absence of the broker, four may be
among them while there is something new, else sixteen, so that what comes next finds room. Their rate is
bounded, so that a thousand nodes that come back do not drown the broker; while no control room listens,
they go one by one, at a tenth of it.
"""

from __future__ import annotations

__all__ = ["UNDER_WAY", "Drain"]

UNDER_WAY = 20
_LATE_ALONE, _LATE_BESIDE, _LATE_UNHEARD = 16, 4, 1
_UNHEARD = 0.1  # of the rate, while no control room listens


class Drain:
    """The pace of what waited."""

    def __init__(self, per_second: float) -> None:
        """Let `per_second` late messages go each second, and as many at once after a rest."""
        self._rate = per_second
        self._allowance = per_second
        self._last: float | None = None
        self.hurried = False

    def hurry(self) -> None:
        """Forget the rate: the agent ends, and delivers what it can."""
        self.hurried = True

    def room(self, now: float, *, live: int, late: int, heard: bool) -> int:
        """Return how many late messages may be sent now.

        Args:
            now: seconds of a clock that only rises.
            live: how many that are not late are under way.
            late: how many that are late are under way.
            heard: whether a control room listens.
        """
        rate = self._rate if heard else self._rate * _UNHEARD
        elapsed = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last = now
        self._allowance = min(max(1.0, rate), self._allowance + elapsed * rate)
        room = min(UNDER_WAY - live - late, _share(live, heard) - late)
        return max(0, room if self.hurried else min(room, int(self._allowance)))

    def sent(self, count: int) -> None:
        """Take note that late messages were sent."""
        self._allowance = max(0.0, self._allowance - count)


def _share(live: int, heard: bool) -> int:
    if not heard:
        return _LATE_UNHEARD
    return _LATE_BESIDE if live else _LATE_ALONE
