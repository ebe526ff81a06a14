from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.capture.process import Sign
from vedette_edge.capture.supervisor import Supervisor
from vedette_edge.config import CaptureConfig
from vedette_edge.errors import VideoError
from vedette_edge.types import Frame

IMAGE = np.zeros((4, 4, 3), np.uint8)
BROKEN = VideoError("unplugged")


class World:
    """A clock that only waiting moves, and capture processes that follow a script each.

    A script is a list of: a number (silent seconds), "frame", "alive", "end", or an error.
    A live camera is stopped when the last one has begun.
    """

    def __init__(self, *scripts, live=True, **limits):
        self.now = 0.0
        self.scripts = list(scripts)
        self.started, self.killed, self.waits, self.statuses = [], [], [], []
        self.live = live
        self.supervisor = Supervisor(
            "door",
            self.start,
            CaptureConfig(**limits),
            live,
            self.pause,
            lambda status, reason: self.statuses.append((status, reason)),
            jitter=lambda: 1.0,
            clock=lambda: self.now,
        )

    def start(self):
        script = self.scripts.pop(0) if self.scripts else [float("inf")]
        if isinstance(script, Exception):
            raise script
        worker = Twin(self, script)
        self.started.append(self.now)
        return worker

    def pause(self, seconds):
        if seconds:
            self.waits.append(seconds)
            self.now += seconds
        return self.live and not self.scripts

    def frames(self):
        return list(self.supervisor.frames())


class Twin:
    def __init__(self, world, script):
        self.world = world
        self.script = list(script)
        self.seen = 0
        self.dropped = 0

    def receive(self, seconds):
        if not self.script:
            raise VideoError("the capture process died of SIGSEGV")
        step = self.script[0]
        if isinstance(step, float | int):
            self.world.now += min(seconds, step)
            self.script[0] = step - seconds
            if self.script[0] <= 0:
                self.script.pop(0)
            return Sign.NOTHING
        self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        self.seen += 2
        self.dropped += 1
        return {"frame": Frame(IMAGE, self.world.now), "alive": Sign.ALIVE, "end": Sign.ENDED}[step]

    def kill(self):
        self.world.killed.append(self.world.now)


def test_a_stream_that_stops_is_stalled_killed_and_started_again():
    world = World([1, "frame", 1, "frame", 100], [1, "frame", BROKEN], BROKEN)
    assert len(world.frames()) == 3
    assert world.statuses[:4] == [
        ("online", ""),
        ("stalled", "no picture for 5 s"),
        ("online", ""),
        ("stalled", "unplugged"),
    ]
    assert world.killed[0] == pytest.approx(2 + 5, abs=0.5)
    assert len(world.killed) == len(world.started)


def test_a_camera_that_cannot_be_opened_is_offline_and_said_so_once():
    world = World([BROKEN], [BROKEN], [VideoError("refused")], [BROKEN], [])
    assert world.frames() == []
    assert world.statuses == [("offline", "unplugged"), ("offline", "refused"), ("offline", "unplugged")]


def test_a_camera_that_answers_but_never_gives_a_picture_is_offline():
    world = World([1000], [1000], open_within=12.0)
    world.frames()
    assert world.statuses == [("offline", "no picture for 12 s")]
    assert world.killed[0] == pytest.approx(12, abs=0.5)


def test_the_waits_double_to_their_bound():
    world = World(*[[BROKEN]] * 9, longest_retry=20.0)
    world.frames()
    assert world.waits == [1, 2, 4, 8, 16, 20, 20, 20]


def test_a_steady_stream_forgets_earlier_failures_and_a_short_one_does_not():
    steady = [x for _ in range(40) for x in ("frame", 1)]
    world = World([BROKEN], [BROKEN], ["frame", BROKEN], [*steady, BROKEN], [BROKEN], [])
    world.frames()
    assert world.waits == [1, 2, 4, 1, 2]


def test_whoever_waits_on_purpose_is_not_stalled():
    world = World(["frame", *[x for _ in range(20) for x in (4, "alive")], "frame", "end"], live=False)
    assert len(world.frames()) == 2
    assert world.statuses == [("online", "")]


def test_the_time_that_the_agent_takes_for_a_frame_is_not_the_cameras():
    world = World(["frame", 4, "frame", "end"], live=False)
    for _ in world.supervisor.frames():
        world.now += 100
    assert world.statuses == [("online", "")]


@pytest.mark.parametrize("script", [[BROKEN], ["frame", BROKEN], ["frame", 100], []])
def test_a_source_that_is_not_live_fails_for_good(script):
    world = World(script, ["frame"], live=False)
    with pytest.raises(VideoError):
        world.frames()
    assert len(world.started) == len(world.killed) == 1


def test_a_source_that_is_not_live_ends_with_its_stream():
    world = World(["frame", "frame", "end"], ["frame"], live=False)
    assert len(world.frames()) == 2
    assert len(world.killed) == 1


def test_a_process_that_cannot_be_started_is_tried_again():
    world = World(VideoError("no processes left"), ["frame", 100], [])
    assert len(world.frames()) == 1
    assert world.statuses[0] == ("offline", "no processes left")


def test_whoever_stops_reading_leaves_no_process_behind():
    world = World(["frame"] * 10, [])
    frames = world.supervisor.frames()
    next(frames)
    frames.close()
    assert len(world.killed) == 1


def test_what_was_seen_and_dropped_is_added_up_over_restarts():
    world = World(["frame", "frame", BROKEN], ["frame", BROKEN], [])
    world.frames()
    assert (world.supervisor.seen, world.supervisor.dropped) == (6, 3)
    assert world.supervisor.restarts == 2


STEPS = st.one_of(st.sampled_from(["frame", "alive", "end", BROKEN]), st.floats(0.1, 30))


@given(st.lists(st.lists(STEPS, max_size=8), min_size=1, max_size=6))
def test_whatever_happens_every_process_is_killed_and_time_never_runs_back(scripts):
    world = World(*scripts, [])
    times = [frame.time for frame in world.frames()]
    assert times == sorted(times)
    assert len(world.started) == len(world.killed)
    for before, after in itertools.pairwise(world.statuses):
        assert before != after
    for (status, _), (following, _) in itertools.pairwise(world.statuses):
        assert following != "stalled" or status == "online"
