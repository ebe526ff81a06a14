from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.ota.hints import Hints
from vedette_edge.publish.happenings import Received

TOPIC = "vedette/v1/hall/n1/ota/desired"
NOW = 1_700_000_000.0


class Times:
    """A clock that only rises, and one that says what time it is."""

    def __init__(self):
        self.clock, self.now = 1000.0, NOW

    def go_by(self, seconds):
        self.clock += seconds
        self.now += seconds


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def hints(tmp_path, times):
    return Hints(tmp_path / "ota" / "look", lambda: times.clock, lambda: times.now)


@pytest.fixture
def looked(tmp_path, hints):
    """Lets time do its work; tells whether the updater was asked to look."""

    def asked():
        path = tmp_path / "ota" / "look"
        path.unlink(missing_ok=True)
        hints.tick()
        return path.exists()

    return asked


def take(hints, payload):
    hints.take(Received(TOPIC, payload, retained=True))


def test_nothing_is_looked_for_before_somebody_asks(looked):
    assert not looked()


def test_a_hint_has_the_updater_look_once_though_it_comes_at_each_connection(hints, looked, times):
    take(hints, b'{"campaign": "spring", "wave": 1}')
    assert looked()
    times.go_by(600)
    take(hints, b'{"campaign": "spring", "wave": 1}')
    assert not looked()
    take(hints, b'{"campaign": "spring", "wave": 2}')
    assert looked()


def test_a_hint_waits_for_its_time(hints, looked, times):
    take(hints, b'{"campaign": "spring", "not_before": %.1f}' % (NOW + 100))
    assert not looked()
    times.go_by(100)
    assert looked()


def test_a_later_hint_takes_the_place_of_one_that_waits(hints, looked):
    take(hints, b'{"campaign": "spring", "not_before": %.1f}' % (NOW + 1e9))
    take(hints, b'{"campaign": "summer"}')
    assert looked()


def test_many_hints_are_one_look_a_minute(hints, looked, times):
    looks = 0
    for wave in range(600):
        take(hints, b'{"campaign": "spring", "wave": %d}' % wave)
        looks += looked()
        times.go_by(1)
    assert looks == 10


def test_the_agent_can_ask_for_itself_at_the_same_rate(hints, looked, times):
    hints.look_soon()
    assert looked()
    hints.look_soon()
    assert not looked()
    times.go_by(60)
    assert looked()


BAD = [
    b"x",
    b"[]",
    b"{}",
    b'{"campaign": "spring", "url": "http://evil"}',
    b'{"campaign": "spring", "sha256": "00"}',
    b'{"campaign": "../x"}',
    b'{"campaign": "spring", "wave": "1"}',
    b'{"campaign": "spring", "wave": -1}',
    b'{"campaign": "spring", "not_before": Infinity}',
    b'{"campaign": "spring"}' + b" " * 2000,
]


@pytest.mark.parametrize("payload", BAD)
def test_what_is_no_hint_is_ignored_and_counted(hints, looked, payload):
    take(hints, payload)
    assert not looked()
    assert hints.ignored == 1


def test_an_empty_message_only_clears_the_topic(hints, looked):
    take(hints, b"")
    assert not looked()
    assert hints.ignored == 0


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_ignored(tmp_path_factory, payload):
    hints = Hints(tmp_path_factory.mktemp("h") / "look")
    take(hints, payload)
    hints.tick()


def test_where_the_file_cannot_be_touched_the_agent_goes_on(tmp_path, times, caplog):
    (tmp_path / "ota").write_bytes(b"")
    hints = Hints(tmp_path / "ota" / "look", lambda: times.clock, lambda: times.now)
    hints.look_soon()
    hints.tick()
    assert "cannot ask the updater to look" in caplog.text


def test_a_run_that_begins_anew_within_a_minute_asks_no_more_often(tmp_path, times):
    path = tmp_path / "ota" / "look"
    for seconds, asked in ((0, True), (30, False), (40, True), (-500, True)):
        times.go_by(seconds)
        path.parent.mkdir(exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else None
        anew = Hints(path, lambda: times.clock, lambda: times.now)
        anew.look_soon()
        anew.tick()
        assert (path.stat().st_mtime_ns != before) is asked
        os.utime(path, (times.now, times.now)) if asked else None
