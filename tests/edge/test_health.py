from __future__ import annotations

import logging
import os
import socket

import pytest

from vedette_edge.health import Heartbeat, Notifier, Watchdog


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket that plays systemd, and the address to give it by."""
    if request.param == "path":
        address = shown = str(tmp_path / "notify")
    else:
        name = f"vedette-test-{os.getpid()}"
        address, shown = f"\0{name}", f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(2)
        yield receiver, {"NOTIFY_SOCKET": shown, "WATCHDOG_USEC": "10000000"}


def pings(receiver):
    receiver.setblocking(False)
    count = 0
    while True:
        try:
            assert receiver.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return count
        count += 1


def test_state_goes_to_systemd_in_one_datagram(systemd):
    receiver, environment = systemd
    Notifier(environment).send("READY=1", "STATUS=up")
    assert receiver.recv(100) == b"READY=1\nSTATUS=up"


def test_without_systemd_nothing_happens():
    Notifier({}).send("READY=1")


def test_a_socket_that_is_gone_is_only_logged(tmp_path, caplog):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")
    assert "cannot notify systemd" in caplog.text


def test_the_watchdog_is_fed_at_half_its_time_while_all_workers_beat(systemd):
    receiver, environment = systemd
    beats = [Heartbeat("a"), Heartbeat("b")]
    watchdog = Watchdog(Notifier(environment), beats, environment)
    for second in range(21):
        for beat in beats:
            beat.beat()
        assert watchdog.tick(float(second)) == []
    assert pings(receiver) == 5


def test_a_stuck_worker_stops_the_feeding_until_it_beats_again(systemd, caplog):
    receiver, environment = systemd
    alive, stuck = Heartbeat("alive"), Heartbeat("stuck")
    watchdog = Watchdog(Notifier(environment), [alive, stuck], environment)
    watchdog.tick(0.0)
    with caplog.at_level(logging.WARNING):
        for second in range(5, 10):
            alive.beat()
            assert watchdog.tick(float(second)) == ["stuck"]
    assert caplog.text.count("no sign of life from stuck") == 1
    assert pings(receiver) == 1
    stuck.beat()
    assert watchdog.tick(10.0) == []
    assert pings(receiver) == 1


def test_a_worker_that_has_ended_is_not_missed(systemd):
    receiver, environment = systemd
    done = Heartbeat("done")
    watchdog = Watchdog(Notifier(environment), [done], environment)
    watchdog.tick(0.0)
    done.retire()
    assert watchdog.tick(5.0) == []
    assert pings(receiver) == 2


def test_without_a_watchdog_nothing_is_sent(systemd):
    receiver, environment = systemd
    watchdog = Watchdog(Notifier(environment), [Heartbeat("a")], {"WATCHDOG_USEC": "soon"})
    assert watchdog.tick(0.0) == watchdog.tick(100.0) == []
    assert pings(receiver) == 0


def test_workers_come_and_go_while_it_runs(systemd):
    receiver, environment = systemd
    old, new = Heartbeat("old"), Heartbeat("new")
    watchdog = Watchdog(Notifier(environment), [old], environment)
    assert watchdog.tick(0.0) == []
    watchdog.watch(new)
    old.beat()
    assert watchdog.tick(5.0) == []  # as at the start, one that is new has the time of one feeding
    old.beat()
    assert watchdog.tick(10.0) == ["new"]
    new.beat()
    assert watchdog.tick(11.0) == []
    watchdog.forget(old)
    new.beat()
    assert watchdog.tick(16.0) == []
    assert pings(receiver) == 4


def test_a_worker_that_is_watched_twice_is_asked_once(systemd):
    receiver, environment = systemd
    beat = Heartbeat("a")
    watchdog = Watchdog(Notifier(environment), [beat], environment)
    watchdog.tick(0.0)
    watchdog.watch(beat)
    assert watchdog.tick(5.0) == ["a"]
    assert pings(receiver) == 1
