from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from edge_helpers import scene

from vedette_edge.config import ModelConfig
from vedette_edge.engine import open_model
from vedette_edge.metrics import Durations
from vedette_edge.operation.governor import LADDER
from vedette_edge.operation.overview import Overview, Parts
from vedette_edge.operation.sensors import Reading
from vedette_edge.operation.timing import QueueClock, TimedGate
from vedette_edge.pipeline import AlwaysOpen
from vedette_edge.publish.base import Message
from vedette_edge.topics import Area, Event, Topics

NOW = 1_700_000_000.0


@pytest.fixture
def model(shared_bundle):
    return open_model(ModelConfig(bundle=shared_bundle))


@pytest.fixture
def world(model):
    """The agent's parts, a clock that a test sets, and the overview of them."""
    world = SimpleNamespace(now=0.0, cameras=[camera("door", frames=10)], latency=Durations())
    link = SimpleNamespace(latency=world.latency, connected=True)
    parts = Parts(
        site="hall",
        node="node-1",
        boot="boot",
        broker="broker:1883",
        models=lambda: {"main": model},
        cameras=lambda: world.cameras,
        watchers=lambda: [SimpleNamespace(windows=3), SimpleNamespace(windows=4)],
        waiting=lambda: 5,
        link=link,
    )
    world.overview = Overview(parts, now=lambda: NOW, clock=lambda: world.now)
    return world


def camera(name, frames=0, dropped=0, queued=0, events=0):
    return SimpleNamespace(name=name, frames=frames, dropped=dropped, queued=queued, events=events)


def event(kind="new"):
    return Event(
        type=kind,
        id="01ARYZ6S410000000000000000",
        seq=1,
        boot="boot",
        camera="door",
        label="fight",
        score=0.9,
        top_score=0.9,
        start_time=NOW,
        frame_time=NOW,
        position=0.0,
        start_position=0.0,
        area=Area(x=0, y=0, w=1, h=1),
        hottest=(0.5, 0.5),
        model_sha256="0" * 64,
    )


def test_counters_are_summed_and_told_by_camera(world):
    world.cameras = [camera("door", 10, 1, 2, 3), camera("gate", 5, 0, 0, 1)]
    metrics = world.overview.metrics()
    assert (metrics.frames, metrics.dropped, metrics.windows, metrics.events, metrics.outbox) == (
        15,
        1,
        7,
        4,
        5,
    )
    assert [(one.id, one.frames, one.queued) for one in metrics.cameras] == [("door", 10, 2), ("gate", 5, 0)]
    assert metrics.rss_bytes > 0


def test_frames_a_second_are_counted_between_looks(world):
    assert world.overview.metrics().cameras[0].fps == 0.0
    world.now, world.cameras = 4.0, [camera("door", frames=110)]
    assert world.overview.metrics().cameras[0].fps == 25.0
    assert world.overview.metrics().uptime == 4.0


def test_a_camera_that_comes_back_was_restarted(world):
    overview = world.overview
    assert overview.status().cameras[0].status == "starting"
    overview.note_status("door", "online")
    overview.note_status("door", "stalled", "no frame for 5 s")
    state = overview.status().cameras[0]
    assert (state.status, state.reason) == ("stalled", "no frame for 5 s")
    assert overview.metrics().cameras[0].restarts == 0
    overview.note_status("door", "online")
    assert overview.metrics().cameras[0].restarts == 1


def test_the_latest_event_of_a_camera_is_told_and_logged(world, caplog):
    topic = Topics("hall", "node-1").events("door")
    others = [Message("t", b"jpeg", content_type="image/jpeg"), Message("t", b"{}")]
    messages = [Message(topic, event(kind).model_dump_json().encode()) for kind in ("new", "end")]
    with caplog.at_level(logging.INFO):
        world.overview.note_messages("door", [*others, *messages])
    assert [(one.camera, one.type) for one in caplog.records] == [("door", "new"), ("door", "end")]
    last = world.overview.status().cameras[0].last_event
    assert (last.type, last.label, last.ts) == ("end", "fight", NOW)


def test_a_camera_that_is_taken_out_is_forgotten(world):
    world.overview.note_status("door", "online")
    world.overview.note_status("door", "online")
    world.overview.forget("door")
    assert world.overview.status().cameras[0].status == "starting"
    assert world.overview.metrics().cameras[0].restarts == 0


def test_a_variant_that_takes_over_is_told(world):
    assert world.overview.metrics().models[0].failovers == 0
    world.overview.note_failover("main")
    found = world.overview.metrics().models[0]
    assert (found.variant, found.failovers) == ("onnx-fp32", 1)
    assert world.overview.status().models[0].runtime == "onnx"


def test_the_sensors_and_the_governor_are_told(world):
    world.overview.note_reading(Reading(temperature_c=81.0))
    state = world.overview.note_step(LADDER[5], "81.0 degrees Celsius", ["door"])
    assert (state.step, state.name, state.paused) == (5, "cameras-paused", ("door",))
    assert world.overview.status().governor == state
    metrics = world.overview.metrics()
    assert (metrics.governor, metrics.temperature_c) == (5, 81.0)


def test_stages_and_models_have_histograms(world, model):
    world.latency.add(0.5)
    model.session.durations.add(0.1)
    world.overview.stages.queue.add(0.2)
    stages = world.overview.stage_histograms()
    assert {name: found.counts[-1] for name, found in stages.items()} == {
        "queue": 1,
        "gate": 0,
        "decide": 0,
        "publish": 1,
    }
    assert world.overview.model_histograms()["main"].total == pytest.approx(0.1)


def test_the_wait_of_a_frame_is_noted_and_nothing_is_sent():
    durations = Durations()
    clock = QueueClock(durations, clock=lambda: 10.0)
    (frame,) = scene((0.04, False))
    assert clock.push(frame, 9.5) == clock.push(frame) == clock.finish() == []
    assert durations.percentiles().p50 == 500.0
    assert durations.percentiles().count == 1


def test_a_gate_is_timed_and_says_what_it_would():
    durations = Durations()
    (frame,) = scene((0.04, False))
    assert TimedGate(AlwaysOpen(), durations).push(frame).frames == (frame,)
    assert durations.percentiles().count == 1
