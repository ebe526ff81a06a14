"""The broker is away, refuses, or comes and goes, while an hour of events is written: all of them arrive."""

from __future__ import annotations

import contextlib
import itertools
import random
import time

import pytest
from audit import Audit, tries
from edge_helpers import MOSQUITTO, Listener, free_port, mosquitto, wait_until

from vedette_edge.publish.announce import Announcer, Description
from vedette_edge.publish.base import Message
from vedette_edge.publish.mqtt import MqttLink
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import Broker
from vedette_edge.topics import Area, Event, Topics

TOPICS = Topics("hall", "node-1")
PER_SECOND = 5

pytestmark = pytest.mark.skipif(not MOSQUITTO.exists(), reason="Mosquitto is not installed")


def messages_of(number):
    """Event `number`, which begins and ends, with its picture."""
    common = {
        "id": f"{number:026d}",
        "boot": "boot",
        "camera": "door",
        "label": "fight",
        "score": 0.9,
        "top_score": 0.9,
        "start_time": float(number),
        "frame_time": float(number),
        "position": 0.0,
        "start_position": 0.0,
        "area": Area(x=0, y=0, w=1, h=1),
        "hottest": (0.5, 0.5),
        "model_sha256": "0" * 64,
    }
    begin = Event(type="new", seq=2 * number + 1, **common)
    end = Event(type="end", seq=2 * number + 2, end_time=number + 1.0, end_position=1.0, **common)
    picture = Message(TOPICS.heatmap("door"), b"\xff\xd8" * 500, retain=True, content_type="image/jpeg")
    events = [Message(TOPICS.events("door"), one.model_dump_json().encode()) for one in (begin, end)]
    return [picture, *events]


@contextlib.contextmanager
def linked(tmp_path, port):
    outbox = Outbox(tmp_path / "outbox.db", gap_topic=TOPICS.gap)
    announcer = Announcer(TOPICS, "boot", lambda: Description((), ()), lambda: 1.0)
    where = Broker("127.0.0.1", port)
    sessions = Sessions(tmp_path / "session")
    # At the usual rate an hour of events takes some minutes to drain; what is asked here is whether all come.
    link = MqttLink(where, "node", outbox, announcer, sessions, late_per_second=5000.0, jitter=lambda: 0.01)
    link.start()
    try:
        yield link, outbox
    finally:
        link.close()
        outbox.close()


def audited(listener, outbox, count):
    audit = Audit()
    wait_until(lambda: len(outbox) == 0, 120, "the drain")
    wait_until(lambda: len(listener.of("events")) >= 2 * count, 60, "all events")
    for received in listener.of("events"):
        audit.take(received.topic, received.payload)
    return audit


def heard(listener, outbox, audit):
    """Audit what came, once nothing waits: the broker answers us before it tells others."""
    wait_until(lambda: len(outbox) == 0, 60, "the drain")
    known, now = -1, 0
    while known != now:
        time.sleep(1)
        known, now = now, len(listener.of("events"))
    for received in listener.of("events"):
        audit.take(received.topic, received.payload)


def whole(audit, count):
    return len(audit.events) == 2 * count and not (audit.lost or audit.contradicted or audit.unended)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_hour_without_a_broker_loses_nothing(tmp_path, capsys):
    count, port = tries(900, 3600 * PER_SECOND // 2), free_port()
    with linked(tmp_path, port) as (link, outbox):
        for number in range(count):
            link.put(messages_of(number))
        assert len(outbox) == 3 * count
        with mosquitto(tmp_path, port), Listener(port) as listener:
            audit = audited(listener, outbox, count)
    with capsys.disabled():
        print(f"\n{audit.report('an hour without a broker', 1)}")
    assert whole(audit, count)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_broker_that_comes_and_goes_loses_nothing(tmp_path, capsys):
    chance, rounds, port = random.Random(3), tries(3, 40), free_port()
    audit, numbers = Audit(), itertools.count()
    # The broker's own restarts lose nothing either: it writes what it took, also for a listener that is away.
    extra = f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/\nmax_queued_messages 0"
    with linked(tmp_path, port) as (link, outbox):
        for _ in range(rounds):
            with mosquitto(tmp_path, port, extra), Listener(port, name="room") as listener:
                until = time.monotonic() + chance.uniform(0.2, 1.0)
                while time.monotonic() < until:
                    link.put(messages_of(next(numbers)))
                heard(listener, outbox, audit)
            for _ in range(50):
                link.put(messages_of(next(numbers)))
        with mosquitto(tmp_path, port, extra), Listener(port, name="room") as listener:
            heard(listener, outbox, audit)
    with capsys.disabled():
        print(f"\n{audit.report('a broker that comes and goes', rounds)}")
    assert not audit.contradicted
    assert whole(audit, next(numbers))


@pytest.mark.slow
def test_a_broker_that_refuses_for_a_while_loses_nothing(tmp_path, capsys):
    count, port = 200, free_port()
    with linked(tmp_path, port) as (link, outbox):
        with mosquitto(tmp_path, port, "allow_anonymous false"):
            for number in range(count):
                link.put(messages_of(number))
            time.sleep(1)
            assert len(outbox) == 3 * count
        with mosquitto(tmp_path, port), Listener(port) as listener:
            audit = audited(listener, outbox, count)
    with capsys.disabled():
        print(f"\n{audit.report('a broker that refuses', 1)}")
    assert whole(audit, count)
