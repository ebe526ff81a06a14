"""Clips of a stream: each frame is fitted once, and moves once, however many clips and ticks share it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edge_helpers import FPS, FRAMES, SIDE, input_spec, scene

from vedette_edge.clips import ClipStream, FrameStream, clip_tensor
from vedette_edge.flow import FlowStream, clip_flow, to_channels
from vedette_edge.manifest import FlowSpec
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.sampling import sample_clips
from vedette_edge.types import Frame

BOTH = {"streams": "rgb+flow", "flow": FlowSpec()}


def moving_frames(count, fps=FPS, start=0.0):
    """Frames of a bright square that moves two pixels of the network's input a frame."""
    frames = []
    for index in range(count):
        image = cv2.resize(np.random.default_rng(0).integers(0, 99, (6, 8, 3), dtype=np.uint8), (64, 48))
        image[12:30, 4 + 4 * index : 22 + 4 * index] = 230
        frames.append(Frame(image, start + index / fps))
    return frames


def clips_of(stream, frames):
    return [clip for frame in frames for clip in stream.push(frame)[0]] + stream.finish()


@pytest.mark.parametrize("fps", [4.0, FPS, 25.0])
def test_the_clips_are_those_of_the_rules_of_sampling(fps):
    frames = scene((2.0, True), fps=fps)
    spec = input_spec()
    found = clips_of(ClipStream(spec, 2), frames)
    wanted = sample_clips(((f.time, f) for f in frames), frames=spec.frames, hop=2, fps=spec.fps)
    for clip, other in zip(found, wanted, strict=True):
        assert (clip.start, clip.end) == (other.start, other.end)
        assert all(item.frame is frame for item, frame in zip(clip.items, other.items, strict=True))
        fitted = [fit(frame.image, spec) for frame in other.items]
        np.testing.assert_array_equal(clip_tensor(clip, spec), to_tensor(fitted, spec))


def test_a_frame_that_two_clips_share_is_fitted_once():
    first, second = clips_of(ClipStream(input_spec(**BOTH), 1), moving_frames(FRAMES + 1))
    assert all(a is b for a, b in zip(first.items[1:], second.items[:-1], strict=True))


def test_a_network_without_flow_pays_for_none():
    (clip,) = clips_of(ClipStream(input_spec(), 4), moving_frames(FRAMES))
    assert all(item.flow is None for item in clip.items)


def test_a_later_clip_begins_with_the_flow_from_the_frame_before_it():
    spec = input_spec(**BOTH)
    frames = moving_frames(FRAMES + 2)
    clips = clips_of(ClipStream(spec, 1), frames)
    assert len(clips) == 3
    whole = clip_flow([fit(frame.image, spec) for frame in frames], spec.flow)
    for start, clip in enumerate(clips):
        tensor = clip_tensor(clip, spec)
        assert tensor.shape == (1, 5, FRAMES, SIDE, SIDE)
        wanted = to_channels(whole[start : start + FRAMES], spec.flow).transpose(3, 0, 1, 2)
        np.testing.assert_array_equal(tensor[0, 3:], wanted)
    assert not clip_tensor(clips[0], spec)[0, 3:, 0].any()
    assert clip_tensor(clips[1], spec)[0, 3, 0].max() > 0.05


def test_a_frame_that_stands_for_several_ticks_moves_at_the_first_only():
    spec = input_spec(**BOTH)
    clips = clips_of(ClipStream(spec, FRAMES), moving_frames(4, fps=FPS / 2))
    tensor = clip_tensor(clips[0], spec)[0]
    moves = [bool(tensor[3:, index].any()) for index in range(FRAMES)]
    assert moves == [False, True, False, True]
    np.testing.assert_array_equal(tensor[:3, 1], tensor[:3, 2])


def test_the_frames_that_pad_a_short_stream_stand_still():
    spec = input_spec(**BOTH)
    (clip,) = clips_of(ClipStream(spec, 1), moving_frames(2))
    flow = clip_tensor(clip, spec)[0, 3:]
    assert flow[:, 1].any()
    assert not flow[:, 2:].any()


def test_no_flow_spans_a_gap():
    spec = input_spec(**BOTH)
    stream = ClipStream(spec, 1)
    before, after = moving_frames(2), moving_frames(FRAMES, start=100.0)
    assert [stream.push(frame)[1] for frame in before] == [True, False]
    clips, anew = stream.push(after[0])
    assert (clips, anew) == ([], True)
    (clip,) = [clip for frame in after[1:] for clip in stream.push(frame)[0]]
    flow = clip_tensor(clip, spec)[0, 3:]
    assert not flow[:, 0].any()
    assert flow[:, 1].any()


def test_a_frame_between_two_ticks_is_dropped():
    stream = ClipStream(input_spec(**BOTH), 1)
    frame = moving_frames(1)[0]
    assert stream.push(frame) == ([], True)
    assert stream.push(Frame(frame.image, 0.01)) == ([], False)
    (clip,) = stream.finish()
    assert [item.frame.time for item in clip.items] == [0.0] * FRAMES


@pytest.mark.parametrize(
    "stream_of", [lambda spec: ClipStream(spec, 1), FrameStream], ids=["clips", "frames"]
)
def test_flow_is_computed_once_a_sampled_frame_however_many_clips_share_it(stream_of, monkeypatch):
    computed = []
    between = FlowStream._between
    monkeypatch.setattr(FlowStream, "_between", lambda *args: computed.append(1) or between(*args))
    stream = stream_of(input_spec(**BOTH))
    # Three frames a tick, and two frames that stand for two ticks each.
    times = [*np.arange(3 * 2 * FRAMES) / (3 * FPS), 2 * FRAMES / FPS + 0.2, 2 * FRAMES / FPS + 0.4]
    image = moving_frames(1)[0].image
    for time in times:
        stream.push(Frame(image, float(time)))
    sampled = 2 * FRAMES + 2
    # None at the first, from which nothing moved yet.
    assert len(computed) == sampled - 1
