from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_helpers import event

from vedette_edge.recording import planner as module
from vedette_edge.recording.planner import Begin, ClipPlanner, Shot, Stop

FPS = 4


def drive(told=None, *, seconds=60.0, before=2.0, after=3.0, longest=30.0, times=None):
    """Push a stream through a planner; `told` maps a time to the events told at it."""
    planner = ClipPlanner(before=before, after=after, longest=longest)
    left = sorted((told or {}).items())
    jobs = []
    for time in times if times is not None else [n / FPS for n in range(round(seconds * FPS))]:
        jobs += planner.push(Shot(time, b"jpeg"))
        while left and left[0][0] <= time:
            for one in left.pop(0)[1]:
                jobs += planner.tell(one)
    return jobs + planner.finish()


def clips(jobs):
    """Return [(name, times, record)], and hold that jobs come in the order of a clip."""
    found = []
    for job in jobs:
        if isinstance(job, Begin):
            assert not found or found[-1][2], "a clip began before the last one was over"
            found.append([job.name, [], None])
        elif isinstance(job, Shot):
            found[-1][1].append(job.time)
        else:
            found[-1][2] = job.record
    return found


def test_a_clip_lasts_from_before_the_event_to_after_it():
    jobs = drive({12.0: [event("new", 1, start=10.0)], 20.0: [event("end", 1, start=10.0, end=19.0)]})
    ((name, times, record),) = clips(jobs)
    assert name == "door-" + event("new", 1).id
    assert (times[0], times[-1]) == (8.0, 22.0)
    assert times == sorted(set(times))
    assert (record.start_time, record.end_time) == (1_700_000_008.0, 1_700_000_022.0)
    assert [(one.start_time, one.end_time) for one in record.events] == [(1_700_000_010.0, 1_700_000_019.0)]


def test_without_events_nothing_is_kept():
    assert drive() == []


def test_events_that_overlap_share_a_clip():
    jobs = drive(
        {
            10.0: [event("new", 1, start=9.0)],
            12.0: [event("new", 2, start=11.0, label="fall")],
            14.0: [event("end", 1, start=9.0, end=14.0)],
            18.0: [event("end", 2, start=11.0, end=18.0, label="fall")],
        }
    )
    ((_, times, record),) = clips(jobs)
    assert (times[0], times[-1]) == (7.0, 21.0)
    assert [one.label for one in record.events] == ["fight", "fall"]
    assert [one.end_time for one in record.events] == [1_700_000_014.0, 1_700_000_018.0]


def test_an_event_within_the_time_after_another_goes_into_its_clip():
    jobs = drive(
        {
            10.0: [event("new", 1, start=9.0)],
            11.0: [event("end", 1, start=9.0, end=11.0)],
            13.0: [event("new", 2, start=12.0)],
            15.0: [event("end", 2, start=12.0, end=15.0)],
        }
    )
    ((_, times, record),) = clips(jobs)
    assert times[-1] == 18.0
    assert len(record.events) == 2


def test_a_later_event_has_a_clip_of_its_own_with_all_that_was_before():
    jobs = drive(
        {
            10.0: [event("new", 1, start=10.0)],
            11.0: [event("end", 1, start=10.0, end=11.0)],
            15.0: [event("new", 2, start=15.0)],
            16.0: [event("end", 2, start=15.0, end=16.0)],
        }
    )
    first, second = clips(jobs)
    assert (first[1][-1], second[1][0]) == (14.0, 13.0)


def test_an_event_without_end_fills_no_disk():
    jobs = drive({10.0: [event("new", 1, start=10.0)], 50.0: [event("update", 1, start=10.0)]}, longest=20.0)
    ((_, times, record),) = clips(jobs)
    assert times[-1] - times[0] == 20.0
    assert record.events[0].end_time is None


def test_a_stream_that_stops_or_starts_again_completes_the_clip():
    times = [*(n / FPS for n in range(48)), *(n / FPS for n in range(48))]
    jobs = drive({11.75: [event("new", 1, start=11.0)]}, times=times)
    ((_, kept, record),) = clips(jobs)
    assert kept == sorted(kept)
    assert record.end_time == 1_700_000_011.75


def test_what_came_before_a_restart_is_in_no_later_clip():
    times = [50.0, 51.0, 0.0, 1.0, 2.0]
    planner = ClipPlanner(before=60.0, after=3.0, longest=120.0)
    jobs = [job for time in times for job in planner.push(Shot(time, b""))]
    jobs += planner.tell(event("new", 1, start=2.0))
    assert [job.time for job in jobs if isinstance(job, Shot)] == [0.0, 1.0, 2.0]


def test_an_update_or_end_of_an_unknown_event_begins_nothing():
    assert drive({5.0: [event("update", 1, start=4.0)], 6.0: [event("end", 1, start=4.0, end=5.0)]}) == []


def test_what_is_remembered_is_bounded_in_seconds_and_bytes(monkeypatch):
    planner = ClipPlanner(before=2.0, after=3.0, longest=30.0)
    for n in range(10_000):
        planner.push(Shot(n / 10, b"jpeg"))
    jobs = planner.tell(event("new", 1, start=0.0))
    assert len(jobs) - 1 == 121  # 2 s before, and 10 s for events that are told late
    monkeypatch.setattr(module, "_REMEMBERED_BYTES", 40)
    small = ClipPlanner(before=2.0, after=3.0, longest=30.0)
    for n in range(100):
        small.push(Shot(n / 10, b"jpeg"))
    assert len(small.tell(event("new", 1, start=0.0))) - 1 == 10


moments = st.floats(0, 50)
lasting = st.floats(0, 30)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(moments, lasting, st.floats(0, 4)), max_size=6))
def test_every_event_has_a_clip_that_holds_what_it_must(given_events):
    told: dict[float, list] = {}
    for number, (start, lasts, late) in enumerate(given_events):
        told.setdefault(start + late, []).append(event("new", number, start=start))
        told.setdefault(start + late + lasts, []).append(event("end", number, start=start, end=start + lasts))
    found = clips(drive(told, seconds=70.0))
    assert sum(len(record.events) for _, _, record in found) >= len(
        {e.id for es in told.values() for e in es}
    )
    for _, times, record in found:
        assert times == sorted(set(times))
        assert times[-1] - times[0] <= 30.0
        assert record.start_time == pytest.approx(1_700_000_000.0 + times[0], abs=1e-3)
        assert all(b - a <= 1 / FPS + 1e-9 for a, b in itertools.pairwise(times))


def test_each_clip_ends_with_its_record():
    jobs = drive({3.0: [event("new", 1, start=3.0)]}, seconds=5.0)
    assert isinstance(jobs[0], Begin)
    assert isinstance(jobs[-1], Stop)
