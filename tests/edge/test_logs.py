from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.logs import RepeatFilter, configure_logs


@pytest.fixture(autouse=True)
def restored():
    root, ours = logging.getLogger(), logging.getLogger("vedette_edge")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before


def test_json_lines_carry_time_level_logger_message_and_extra_fields():
    stream = io.StringIO()
    configure_logs("json", stream)
    logging.getLogger("vedette_edge.x").info("seen %d", 3, extra={"camera": "door"})
    line = json.loads(stream.getvalue())
    assert line.pop("ts").endswith("+00:00")
    assert line == {"level": "info", "logger": "vedette_edge.x", "message": "seen 3", "camera": "door"}


def test_a_traceback_stays_on_its_json_line():
    stream = io.StringIO()
    configure_logs("json", stream)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.getLogger("vedette_edge").exception("defect")
    assert "RuntimeError: broken" in json.loads(stream.getvalue())["traceback"]


def test_people_get_a_line_and_libraries_only_their_warnings():
    stream = io.StringIO()
    configure_logs("human", stream)
    logging.getLogger("other").info("chatter")
    logging.getLogger("vedette_edge").info("hello")
    assert stream.getvalue().rstrip().endswith("INFO    hello")
    assert stream.getvalue().count("\n") == 1


def record(message="camera '%s': %s", args=("door", "gone"), line=1, **extra):
    made = logging.makeLogRecord({"name": "vedette_edge.x", "lineno": line, "msg": message, "args": args})
    vars(made).update(extra)
    return made


@pytest.fixture
def clock():
    """Seconds that a test sets."""
    return [0.0]


@pytest.fixture
def repeats(clock):
    return RepeatFilter(lambda: clock[0])


def test_a_line_that_repeats_is_held_back_and_counted(repeats, clock):
    assert [repeats.filter(record()) for _ in range(7)] == [True] * 5 + [False] * 2
    clock[0] = 600.0
    late = record()
    assert repeats.filter(late)
    assert late.left_out == 2
    assert not repeats.filter(record())


def test_a_camera_that_is_down_for_a_year_writes_little(repeats, clock):
    passed = 0
    for minute in range(0, 365 * 24 * 60, 5):
        clock[0] = 60.0 * minute
        passed += repeats.filter(record(args=("door", f"attempt {minute}")))
    assert passed == pytest.approx(365 * 24 * 6, rel=0.01)


def test_other_cameras_and_other_places_are_not_held_back(repeats):
    for _ in range(10):
        repeats.filter(record())
    assert repeats.filter(record(args=("gate", "gone")))
    assert repeats.filter(record(line=2))
    assert repeats.filter(record(camera="roof"))


def test_events_are_never_held_back(repeats):
    assert all(repeats.filter(record(camera="door", event=f"event-{number}")) for number in range(100))


@given(st.lists(st.tuples(st.floats(0, 3600), st.integers(0, 3)), max_size=200))
def test_nothing_is_lost_from_the_count(history):
    now = [0.0]
    repeats = RepeatFilter(lambda: now[0])
    told = dict.fromkeys(range(4), 0)
    for seconds, camera in history:
        now[0] += seconds
        one = record(args=(f"camera-{camera}", ""))
        if repeats.filter(one):
            told[camera] += 1 + getattr(one, "left_out", 0)
    now[0] += 600.0
    for camera in told:
        one = record(args=(f"camera-{camera}", ""))
        assert repeats.filter(one)
        told[camera] += getattr(one, "left_out", 0)
    assert sum(told.values()) == len(history)


def test_the_memory_of_the_filter_is_bounded(repeats):
    for number in range(5000):
        repeats.filter(record(args=(str(number), "")))
    assert len(repeats._budgets) == 1000


@pytest.mark.parametrize("style", ["human", "json"])
def test_what_was_left_out_is_told_in_the_next_line(style, monkeypatch):
    stream = io.StringIO()
    configure_logs(style, stream)
    (handler,) = logging.getLogger().handlers
    (repeats,) = handler.filters
    now = [0.0]
    monkeypatch.setattr(repeats, "_clock", lambda: now[0])
    for _ in range(8):
        handler.handle(record())
    now[0] = 600.0
    handler.handle(record())
    last = stream.getvalue().splitlines()[-1]
    assert stream.getvalue().count("\n") == 6
    assert (
        json.loads(last)["left_out"] == 3
        if style == "json"
        else last.endswith("(3 more like it were left out)")
    )


def test_a_line_without_text_arguments_is_a_kind_of_its_own(repeats):
    assert all(repeats.filter(record("%d frames", (number,), line=3)) for number in range(5))
    assert not repeats.filter(record("%d frames", (9,), line=3))
    assert repeats.filter(record("%(a)s", {"a": 1}, line=4))
