"""By what rules a camera's scores become events."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from vedette_edge.config.sections import Polygon, Section
from vedette_edge.decision import SHARE
from vedette_edge.manifest import Probability
from vedette_edge.schedule import Period, Schedule
from vedette_edge.topics import Identifier
from vedette_edge.zones import area, crosses_itself

__all__ = ["DecisionOverride", "PeriodConfig", "RuleConfig", "ScheduleConfig", "Zone"]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_SMALLEST_ZONE = 1e-4  # of the picture


def _encloses_something(corners: Polygon) -> Polygon:
    if crosses_itself(corners):
        raise ValueError(
            "the edges of a zone must not cross: give its corners in the order of a walk around it"
        )
    if area(corners) < _SMALLEST_ZONE:
        raise ValueError("a zone must enclose a part of the picture")
    return corners


def _quoted(value: object) -> object:
    if not isinstance(value, str):
        # YAML 1.1 reads 22:00 as the number 1320.
        raise ValueError('a time is hours and minutes in quotes, such as "06:30"')
    return value


def _clock(value: str) -> str:
    if _CLOCK.fullmatch(value) is None:
        raise ValueError('a time is hours and minutes, "00:00" to "23:59"')
    return value


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("this device knows no such time zone; names are such as Europe/Berlin") from None
    return name


Zone = Annotated[Polygon, AfterValidator(_encloses_something)]
"""A polygon that encloses a part of the picture."""

Clock = Annotated[str, BeforeValidator(_quoted), AfterValidator(_clock)]
"""Hours and minutes of the wall clock."""


class _LabelOverride(Section):
    """Those fields of `Decision` that may differ from label to label."""

    on_threshold: Probability | None = Field(
        default=None, description="Smoothed score that begins an event, 0..1."
    )
    off_threshold: Probability | None = Field(
        default=None, description="An event ends below this score, 0..1."
    )
    min_duration: float | None = Field(default=None, ge=0, description="Seconds at `on` before an event.")
    cooldown: float | None = Field(default=None, ge=0, description="Seconds from an end to the next event.")
    smoothing: int | None = Field(default=None, ge=1, description="Scores averaged, in windows.")
    k: int | None = Field(
        default=None, ge=1, description="Of the last `n` windows, how many must reach `on`."
    )
    n: int | None = Field(default=None, ge=1, description="Windows of which `k` must reach `on`.")


class DecisionOverride(_LabelOverride):
    """What a camera does otherwise than the bundle's `decision`; the fields are those of `Decision`."""

    hop: int | None = Field(default=None, ge=1, description="Sampled frames from one window to the next.")
    temperature: float | None = Field(default=None, gt=0, description="Divides the logits before softmax.")


class PeriodConfig(Section):
    """A stretch of the week, by the clock on the wall."""

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, description="On which it starts.")
    start: Clock = Field(description='Such as "22:00".')
    end: Clock = Field(description="Where it is not after `start`, it is that of the next day.")

    def build(self) -> Period:
        """Return what it says."""
        days = frozenset(DAYS.index(day) for day in self.days)
        return Period(days, time.fromisoformat(self.start), time.fromisoformat(self.end))


class ScheduleConfig(Section):
    """When events may be; outside of it none begins, and those that are end."""

    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        default=None, description="Such as Europe/Berlin; null: the device's."
    )
    periods: tuple[PeriodConfig, ...] = Field(min_length=1, description="Any of them suffices.")

    def build(self) -> Schedule:
        """Return what it says."""
        zone = ZoneInfo(self.time_zone) if self.time_zone else None
        return Schedule(tuple(period.build() for period in self.periods), zone)


class RuleConfig(_LabelOverride):
    """What is otherwise for one label of a camera."""

    zones: tuple[Identifier, ...] | None = Field(
        default=None, min_length=1, description="Zones in which an event may begin; null: the whole picture."
    )
    share: float = Field(
        default=SHARE, gt=0, le=1, description="Of the evidence, what one of its zones must hold."
    )
    schedule: ScheduleConfig | None = Field(
        default=None, description="When its events may be; null: as the camera's."
    )
