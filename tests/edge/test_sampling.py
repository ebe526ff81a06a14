from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.sampling import ClipSampler, Demand, TickSampler, sample_clips

steps = st.lists(st.floats(0.001, 1.9), min_size=1, max_size=200)


def stream_of(gaps):
    time, stream = 0.0, []
    for gap in gaps:
        stream.append((time, time))
        time += gap
    return stream


@given(steps, st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.5, 1.0, 4.0, 7.5]))
def test_clips_are_full_in_order_and_never_look_ahead(gaps, frames, hop, fps):
    stream = stream_of(gaps)
    clips = list(sample_clips(stream, frames=frames, hop=hop, fps=fps))
    assert len(clips) >= 1
    for clip in clips:
        assert len(clip.items) == frames
        assert list(clip.items) == sorted(clip.items)
        assert (clip.start, clip.end) == (clip.items[0], clip.items[-1])
        assert clip.start <= clip.middle <= clip.end
    assert [clip.end for clip in clips] == sorted(clip.end for clip in clips)


@given(steps, st.sampled_from([0.5, 1.0, 4.0, 25.0]))
def test_ticks_follow_time_whatever_the_frame_rate(gaps, fps):
    sampler = TickSampler(fps)
    times = [time for time, _ in stream_of(gaps)]
    total = sum(sampler.push(time)[0] for time in times)
    assert abs(total - (times[-1] * fps + 1)) <= 1


@given(
    st.lists(st.floats(0.001, 1.4) | st.floats(2.1, 9.0), min_size=1, max_size=100),
    st.sets(st.sampled_from([0.1, 1.0, 4.0, 7.5, 25.0]), min_size=1),
)
def test_who_samples_what_is_asked_for_takes_the_same_as_who_samples_all(gaps, rates):
    demand = Demand(rates)
    times = [time for time, _ in stream_of(gaps)]
    asked_for = [time for time in times if demand(time)]
    assert demand.seen == len(times)
    for rate in rates:
        one, other = TickSampler(rate), TickSampler(rate)
        every = [(time, *one.push(time)) for time in times]
        fewer = [(time, *other.push(time)) for time in asked_for]
        assert [taken for taken in fewer if taken[1]] == [taken for taken in every if taken[1]]


def test_without_a_rate_every_frame_is_asked_for():
    demand = Demand()
    assert all(demand(time / 1000) for time in range(50))


def test_frames_are_asked_for_twice_a_second_at_least():
    demand = Demand([0.01])
    assert [n for n in range(100) if demand(n / 25)] == [0, 13, 25, 38, 50, 63, 75, 88]


@given(steps, st.integers(2, 5))
def test_a_clip_never_spans_a_gap(gaps, frames):
    before = stream_of(gaps)
    shift = before[-1][0] + 2.5
    after = [(time + shift, time + shift) for time, _ in before]
    for clip in sample_clips(before + after, frames=frames, hop=1, fps=4.0):
        assert clip.end < shift or clip.start >= shift


def test_a_frame_stands_for_each_tick_it_passes():
    clips = list(sample_clips([(0.0, "a"), (1.0, "b")], frames=5, hop=1, fps=4.0))
    assert [clip.items for clip in clips] == [("a", "b", "b", "b", "b")]


def test_windows_hop():
    stream = [(t / 4, t) for t in range(10)]
    clips = list(sample_clips(stream, frames=4, hop=2, fps=4.0))
    assert [clip.items for clip in clips] == [(0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 7), (6, 7, 8, 9)]


def test_a_short_stream_is_padded_with_its_last_frame():
    assert [c.items for c in sample_clips([(0.0, "a"), (0.3, "b")], frames=4, hop=2, fps=4.0)] == [
        ("a", "b", "b", "b")
    ]


def test_an_empty_stream_has_no_clip():
    assert list(sample_clips([], frames=4, hop=2, fps=4.0)) == []


def test_time_that_runs_backwards_starts_anew():
    sampler = TickSampler(4.0)
    assert sampler.push(5.0) == (1, True)
    assert sampler.push(5.1) == (0, False)
    assert sampler.push(1.0) == (1, True)


@pytest.mark.parametrize(
    ("frames", "hop", "fps", "gap"), [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)]
)
def test_senseless_settings_are_refused(frames, hop, fps, gap):
    with pytest.raises(ValueError, match="must be"):
        ClipSampler(frames, hop, fps, gap)
