"""When a rule is in force: weekdays, and times of the wall clock in a time zone. Pure; time is an argument.

1. A period is in force from `start` on each of its days until `end`. An `end` that is not after `start` is
   that of the next day: 22:00 to 06:00 is a night, 00:00 to 00:00 a whole day.
2. What counts is what a clock on the wall shows. An hour that summer time skips is never in force, and one
   that it repeats is so twice; a night is then an hour shorter or longer.

>>> night = Period(frozenset({4}), start=time(22), end=time(6))
>>> Schedule((night,), timezone.utc).in_force(datetime(2025, 3, 1, 5, 59, tzinfo=timezone.utc).timestamp())
True
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timezone, tzinfo

__all__ = ["Period", "Schedule"]


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of the week.

    Attributes:
        days: on which it starts; 0 is Monday.
        start: on the wall clock.
        end: on the wall clock, not in force any more.
    """

    days: frozenset[int]
    start: time
    end: time

    def contains(self, weekday: int, clock: time) -> bool:
        """Tell whether a clock that shows `clock` on a `weekday` (0 is Monday) is within the period."""
        if self.start < self.end:
            return weekday in self.days and self.start <= clock < self.end
        of_today = weekday in self.days and clock >= self.start
        return of_today or ((weekday - 1) % 7 in self.days and clock < self.end)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods, of which any one suffices.

    Attributes:
        periods: of the week.
        zone: in which the wall clock hangs; None: where the device stands, by its own setting.
    """

    periods: tuple[Period, ...]
    zone: tzinfo | None = None

    def in_force(self, unix_time: float) -> bool:
        """Tell whether any period contains a moment, Unix time in seconds."""
        local = datetime.fromtimestamp(unix_time, timezone.utc).astimezone(self.zone)
        return any(period.contains(local.weekday(), local.time()) for period in self.periods)
