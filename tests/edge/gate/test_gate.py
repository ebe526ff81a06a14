from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.config.gate import GateConfig
from vedette_edge.gate import MotionGate
from vedette_edge.pipeline import Pipeline
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

DATA = Path(__file__).parents[4] / "shared" / "data"
FPS = 10.0
STILL = np.kron(np.random.default_rng(0).integers(40, 200, (9, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)


def moving(number):
    image = STILL.copy()
    x = 10 * number % 130
    image[30:60, x : x + 20] = 255
    return image


def stream(*parts, start=0.0, fps=FPS):
    """Return frames: each part is (seconds, whether something moves)."""
    frames = []
    for seconds, moves in parts:
        for _ in range(round(seconds * fps)):
            number = len(frames)
            frames.append(Frame(moving(number) if moves else STILL, start + number / fps))
    return frames


def judged(gate, frames):
    return [one.time for frame in frames for one in gate.push(frame).frames]


def config(**changes):
    return GateConfig(**({"enabled": True, "hold": 2.0, "preroll": 1.0} | changes))


def test_it_begins_open_and_closes_when_nothing_moves():
    gate = MotionGate(config())
    steps = [gate.push(frame) for frame in stream((5, False))]
    assert [len(step.frames) for step in steps] == [1] * 21 + [0] * 29
    assert [number for number, step in enumerate(steps) if step.closed] == [21]


def test_when_it_opens_the_seconds_before_are_judged_too_and_nothing_twice():
    found = judged(MotionGate(config()), stream((10, False), (2, True)))
    assert found == pytest.approx([n / FPS for n in (*range(21), *range(91, 120))])


def test_no_frame_of_the_motion_is_lost_even_without_preroll():
    found = judged(MotionGate(config(preroll=0.0, confirm=3)), stream((10, False), (2, True)))
    assert [time for time in found if time >= 10] == pytest.approx([n / FPS for n in range(100, 120)])


def test_a_single_frame_with_motion_does_not_open_it():
    frames = stream((10, False), (0.1, True), (5, False))
    assert max(judged(MotionGate(config(confirm=5)), frames)) == 2.0


def test_it_stays_open_for_its_hold_after_the_last_motion():
    found = judged(MotionGate(config()), stream((10, False), (2, True), (10, False)))
    # What moved last leaves its place, which becomes background within seconds.
    assert 12.0 + 2.0 <= max(found) <= 12.0 + 2.0 + 5.0


@pytest.mark.parametrize("start", [0.0, 500.0])
def test_after_a_gap_or_a_restart_it_is_open_and_judges_nothing_from_before(start):
    gate = MotionGate(config())
    judged(gate, stream((10, False), start=100.0))
    assert not gate.open
    found = judged(gate, stream((1, False), start=start))
    assert found == pytest.approx([start + n / FPS for n in range(10)])


def test_it_can_be_forced_open_for_a_while():
    gate = MotionGate(config(preroll=0.0, confirm=1))
    frames = stream((20, False))
    assert max(judged(gate, frames[:100])) == 2.0
    gate.force(3.0)
    assert judged(gate, frames[100:]) == pytest.approx([10 + n / FPS for n in range(31)])


def test_a_forced_gate_is_not_closed_early_by_a_shorter_force():
    gate = MotionGate(config())
    frames = stream((20, False))
    judged(gate, frames[:100])
    gate.force(5.0)
    gate.push(frames[100])
    gate.force(0.0)
    assert max(judged(gate, frames[101:])) == 15.0


class Watched:
    """A watcher that remembers."""

    def __init__(self):
        self.seen, self.finished = [], 0

    def push(self, frame, captured=None):  # noqa: ARG002
        self.seen.append(frame.time)
        return []

    def finish(self):
        self.finished += 1
        return []


def test_a_pipeline_ends_what_is_active_when_its_gate_closes():
    watcher = Watched()
    pipeline = Pipeline([watcher], gate=MotionGate(config()))
    for frame in stream((10, False), (2, True)):
        pipeline.push(frame)
    assert watcher.finished == 1
    assert watcher.seen == sorted(set(watcher.seen))
    assert len(watcher.seen) == 21 + 29


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(-3.0, 3.0), st.booleans()), min_size=1, max_size=80),
    st.floats(0, 3),
    st.floats(0, 3),
    st.integers(1, 5),
)
def test_whatever_comes_frames_are_judged_in_order_and_once(steps, hold, preroll, confirm):
    gate = MotionGate(config(hold=hold, preroll=preroll, confirm=confirm))
    time, sent, was_open = 0.0, [], True
    for number, (step, moves) in enumerate(steps):
        time += step
        frame = Frame(moving(number) if moves else STILL, time)
        gated = gate.push(frame)
        assert gated.closed == (was_open and not gate.open)
        assert bool(gated.frames) == gate.open
        assert not gate.open or gated.frames[-1] is frame
        was_open = gate.open
        sent += gated.frames
    assert len({id(frame) for frame in sent}) == len(sent)


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared footage is not here")
@pytest.mark.parametrize(
    "name",
    [
        "violence/Fight/fi001.mp4",
        "violence/Fight/fi050.mp4",
        "violence/NonFight/nofi010.mp4",
        "actions/dip/dips_12.mp4",
        "actions/yoga_shavasana/VID20250127141411.mp4",
    ],
)
def test_a_real_action_after_idle_is_judged_from_its_first_frame_on(name):
    """`tests/bench/gate.py` does so with all clips."""
    clip = list(read_frames(DATA / name))
    rng = np.random.default_rng(0)
    idle = [
        Frame(
            np.clip(clip[0].image + rng.integers(-2, 3, clip[0].image.shape), 0, 255).astype(np.uint8), n / 5
        )
        for n in range(40)
    ]
    gate = MotionGate(GateConfig(enabled=True))
    judged(gate, idle)
    assert not gate.open
    found = judged(gate, [Frame(frame.image, 8.0 + frame.time) for frame in clip])
    assert min(found) <= 8.0
    assert 8.0 in found
