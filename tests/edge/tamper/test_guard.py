from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from vedette_edge.pipeline import Pipeline
from vedette_edge.stills import encode
from vedette_edge.tamper import TamperChange, TamperGuard
from vedette_edge.topics import Topics, parse_event
from vedette_edge.types import Frame


class Scripted:
    """A detector that says what it was told to."""

    def __init__(self, changes):
        self._changes = changes
        self.at_the_end = []

    def push(self, frame):
        return self._changes.get(frame.time, [])

    def finish(self):
        return self.at_the_end


def frame(time):
    return Frame(np.full((120, 160, 3), 128, np.uint8), time)


def began(kind, since, time):
    return TamperChange(kind, True, since, time)


def ended(kind, since, time):
    return TamperChange(kind, False, since, time)


@pytest.fixture
def guarding():
    def guarding(changes, now=lambda: 1000.0):
        detector = Scripted(changes)
        guard = TamperGuard(
            detector,
            topics=Topics("hall", "n1"),
            camera="door",
            boot="boot",
            next_seq=itertools.count(1).__next__,
            new_id=map("ID{}".format, itertools.count(1)).__next__,
            encode=lambda image: encode(image, max_bytes=20_000).data,
            now=now,
        )
        return guard, detector

    return guarding


def test_a_beginning_is_a_picture_and_an_event_that_names_it(guarding):
    guard, _ = guarding({7.0: [began("covered", 2.0, 7.0)]})
    assert guard.push(frame(1.0)) == []
    picture, message = guard.push(frame(7.0), captured=5.0)
    event = parse_event(message.payload)
    assert (picture.topic, picture.retain) == ("vedette/v1/hall/n1/cam/door/heatmap", True)
    assert message.topic == "vedette/v1/hall/n1/cam/door/events"
    assert (event.type, event.kind, event.label, event.camera) == ("new", "tamper", "tamper-covered", "door")
    assert event.picture.sha256 == hashlib.sha256(picture.payload).hexdigest()
    assert (event.picture.width, event.picture.height) == (160, 120)
    # The stream's second 1 was at Unix time 1000.
    assert (event.start_time, event.start_position) == (1001.0, 2.0)
    assert (event.frame_time, event.position) == (1006.0, 7.0)
    assert picture.captured == message.captured == 5.0


def test_an_end_belongs_to_its_beginning(guarding):
    guard, _ = guarding({7.0: [began("moved", 2.0, 7.0)], 20.0: [ended("moved", 2.0, 15.0)]})
    new = parse_event(guard.push(frame(7.0))[1].payload)
    (message,) = guard.push(frame(20.0))
    end = parse_event(message.payload)
    assert (end.type, end.kind, end.id, end.picture) == ("end", "tamper", new.id, new.picture)
    assert (end.seq, new.seq) == (2, 1)
    assert (end.end_position, end.end_time - end.start_time) == (15.0, 13.0)


def test_kinds_have_events_of_their_own(guarding):
    guard, _ = guarding({7.0: [began("covered", 2.0, 7.0), began("frozen", 2.0, 7.0)]})
    labels = [parse_event(message.payload).label for message in guard.push(frame(7.0))[1::2]]
    assert labels == ["tamper-covered", "tamper-frozen"]


def test_what_ends_because_the_stream_restarts_ends_in_its_own_time(guarding):
    clock = iter([1000.0, 5000.0])
    script = {7.0: [began("covered", 2.0, 7.0)], 0.0: [ended("covered", 2.0, 9.0), began("frozen", 0.0, 0.0)]}
    guard, _ = guarding(script, now=clock.__next__)
    guard.push(frame(7.0))
    end, _, new = guard.push(frame(0.0))
    assert parse_event(end.payload).end_time == 1002.0
    assert parse_event(new.payload).start_time == 5000.0


def test_a_pipeline_ends_what_is_active_with_its_stream(guarding):
    guard, detector = guarding({7.0: [began("covered", 2.0, 7.0)]})
    detector.at_the_end = [ended("covered", 2.0, 8.0)]
    pipeline = Pipeline([], guards=[guard])
    assert len(pipeline.push(frame(7.0))) == 2
    (message,) = pipeline.finish()
    assert parse_event(message.payload).type == "end"
