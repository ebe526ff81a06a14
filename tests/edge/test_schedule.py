from __future__ import annotations

import time as clock
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.schedule import Period, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
MONDAY = datetime(2025, 3, 3, tzinfo=timezone.utc)

minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))
periods = st.builds(Period, st.frozensets(st.integers(0, 6), min_size=1), minutes, minutes)


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-03-07T21:59:59", False),
        ("2025-03-07T22:00:00", True),
        ("2025-03-08T05:59:59", True),
        ("2025-03-08T06:00:00", False),
        ("2025-03-08T22:00:00", False),
        ("2025-03-07T03:00:00", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_starts(moment, expected):
    friday_night = Schedule((Period(frozenset({4}), time(22), time(6)),), BERLIN)
    assert friday_night.in_force(at(moment)) is expected


def test_a_night_from_sunday_reaches_into_monday():
    schedule = Schedule((Period(frozenset({6}), time(23), time(1)),), timezone.utc)
    assert schedule.in_force(MONDAY.timestamp() + 1800)
    assert not schedule.in_force(MONDAY.timestamp() + 3600)


def test_a_period_that_ends_when_it_starts_is_a_whole_day():
    schedule = Schedule((Period(frozenset({0}), time(8), time(8)),), timezone.utc)
    hours = [hour for hour in range(7 * 24) if schedule.in_force(MONDAY.timestamp() + 3600 * hour)]
    assert hours == list(range(8, 32))


def test_an_hour_that_summer_time_skips_is_never_in_force():
    schedule = Schedule((Period(EVERY_DAY, time(2), time(3)),), BERLIN)
    midnight = at("2025-03-30T00:00:00")
    assert not any(schedule.in_force(midnight + 60 * minute) for minute in range(23 * 60))


def test_an_hour_that_winter_time_repeats_is_in_force_twice():
    schedule = Schedule((Period(EVERY_DAY, time(2), time(3)),), BERLIN)
    midnight = at("2025-10-26T00:00:00")
    assert sum(schedule.in_force(midnight + 60 * minute) for minute in range(25 * 60)) == 120


def test_without_a_zone_the_devices_own_counts(monkeypatch):
    schedule = Schedule((Period(EVERY_DAY, time(12), time(13)),))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    try:
        assert schedule.in_force(at("2025-03-03T12:30:00", ZoneInfo("Asia/Tokyo")))
        assert not schedule.in_force(at("2025-03-03T12:30:00", BERLIN))
    finally:
        monkeypatch.undo()
        clock.tzset()


@given(periods, st.integers(0, 7 * 24 * 60 - 1))
def test_a_week_is_as_a_list_of_its_minutes_says(period, minute):
    start = 60 * period.start.hour + period.start.minute
    length = (60 * period.end.hour + period.end.minute - start) % 1440 or 1440
    week = 7 * 1440
    expected = any((minute - day * 1440 - start) % week < length for day in period.days)
    moment = MONDAY + timedelta(minutes=minute)
    assert Schedule((period,), timezone.utc).in_force(moment.timestamp()) is expected


@given(st.lists(periods, min_size=1, max_size=3), st.floats(1e9, 2e9))
def test_any_period_suffices(several, moment):
    alone = [Schedule((period,), BERLIN).in_force(moment) for period in several]
    assert Schedule(tuple(several), BERLIN).in_force(moment) is any(alone)
