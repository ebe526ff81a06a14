"""A stream's verdicts are those that clips get."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edge_helpers import FPS, FRAMES, brightness_model, input_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_helpers import WINDOW, brightness_stream, shades
from runtime_helpers import variant

from vedette_edge.clips import ClipStream, FrameStream, clip_tensor
from vedette_edge.judges import ClipJudge, StreamJudge
from vedette_edge.manifest import FlowSpec
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes import load
from vedette_edge.types import Outputs

SPEC = input_spec()


@pytest.fixture(scope="module")
def streaming():
    return load([brightness_stream()], variant("onnx", state=(WINDOW,)), threads=1)


@pytest.fixture(scope="module")
def session():
    return load([brightness_model()], variant("onnx", "clip"), threads=1)


def judged(judge, frames):
    """Return the verdicts of each frame, whether it began anew, and the last verdicts."""
    return [judge.push(frame) for frame in frames], judge.finish()


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.start, one.end, one.middle) == (other.start, other.end, other.middle)
        assert all(a is b for a, b in zip(one.frames, other.frames, strict=True))
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        np.testing.assert_allclose(one.heatmap, other.heatmap, atol=1e-4)


steps = st.lists(st.sampled_from([0.01, 0.04, 1 / FPS, 0.3, 1.1, 2.5, -0.5]), max_size=25)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 5), st.integers(0, 9))
def test_at_any_frame_rate_with_any_gaps_the_verdicts_are_those_of_clips(
    streaming, session, steps, hop, seed
):
    frames = shades(np.cumsum([0.0, *steps]), seed)
    stream = StreamJudge(SPEC, hop, Scale(), streaming)
    clips = ClipJudge(SPEC, hop, Scale(), session)
    for _ in range(2):  # and again after the end
        (found, last), (wanted, last_wanted) = judged(stream, frames), judged(clips, frames)
        for (one, anew), (other, anew_wanted) in zip(found, wanted, strict=True):
            assert anew == anew_wanted
            assert_same(one, other)
        assert_same(last, last_wanted)


def test_the_first_verdict_waits_until_the_network_saw_a_whole_clip(streaming):
    judge = StreamJudge(SPEC, 1, Scale(), streaming)
    counts = [len(judge.push(frame)[0]) for frame in shades(np.arange(FRAMES + 2) / FPS)]
    assert counts == [0] * (FRAMES - 1) + [1] * 3


def test_the_temperature_of_the_decision_counts(streaming):
    frames = shades(np.arange(FRAMES) / FPS)
    (cool,), (warm,) = (
        [one for verdicts, _ in judged(StreamJudge(SPEC, 1, scale, streaming), frames)[0] for one in verdicts]
        for scale in (Scale(1.0), Scale(10.0))
    )
    assert abs(warm.probabilities[1] - 0.5) < abs(cool.probabilities[1] - 0.5)


@pytest.mark.parametrize("kind", [StreamJudge, ClipJudge])
def test_with_a_hop_factor_verdicts_are_rarer_and_the_first_is_not_late(kind, streaming, session):
    judge = kind(SPEC, 1, Scale(), streaming if kind is StreamJudge else session)
    judge.set_hop_factor(3)
    frames = shades(np.arange(FRAMES + 9) / FPS)
    ends = [verdict.end for frame in frames for verdict in judge.push(frame)[0]]
    assert ends == [frames[index].time for index in (FRAMES - 1, FRAMES + 2, FRAMES + 5, FRAMES + 8)]
    judge.set_hop_factor(1)
    later = shades((np.arange(3) + FRAMES + 9) / FPS)
    assert [len(judge.push(frame)[0]) for frame in later] == [1, 1, 1]
    for factor in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            judge.set_hop_factor(factor)


class Recorded:
    """A streaming session that keeps what it is given."""

    def __init__(self):
        self.given = []

    def open_stream(self):
        return self

    def reset(self):
        self.given.clear()

    def push(self, frames):
        self.given.append(frames)
        count = frames.shape[2]
        return Outputs(np.zeros((count, 2), np.float32), np.zeros((count, 2, 1, 1, 1), np.float32))


@pytest.mark.parametrize(
    "changes",
    [{}, {"temporal": "difference"}, {"streams": "flow", "flow": FlowSpec()}],
    ids=["pictures", "differences", "flow"],
)
def test_a_stream_too_short_for_a_clip_is_padded_as_a_clip_is(changes):
    spec = input_spec(**changes)
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (64, 48))
    frames = shades([0.0, 1 / FPS])
    for index, frame in enumerate(frames):
        frame.image[:] = np.roll(texture, 4 * index, axis=1)
    recorded, given = Recorded(), []
    judge = StreamJudge(spec, 1, Scale(), recorded)
    stream = ClipStream(spec, 1)
    for frame in frames:
        judge.push(frame)
        stream.push(frame)
    given = recorded.given
    recorded.reset = lambda: None
    (verdict,) = judge.finish()
    (clip,) = stream.finish()
    assert (verdict.start, verdict.end, len(verdict.frames)) == (clip.start, clip.end, FRAMES)
    np.testing.assert_array_equal(np.concatenate(given, axis=2), clip_tensor(clip, spec))


def test_nothing_can_stand_still_before_the_first_frame():
    with pytest.raises(ValueError, match="no frame"):
        FrameStream(SPEC).still(1)
