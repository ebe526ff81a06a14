from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.capture.messages import LONGEST, Alive, Ended, Filled, Job, Note, decode, encode
from vedette_edge.errors import VideoError

COUNTS = st.integers(0, 2**32 - 1)
TEXTS = st.text(max_size=40).filter(str.isprintable)
MESSAGES = st.one_of(
    st.builds(
        Filled, COUNTS, COUNTS, COUNTS, st.floats(allow_nan=False, allow_infinity=False), COUNTS, COUNTS
    ),
    st.just(Alive()),
    st.builds(Note, TEXTS),
    st.builds(Ended, TEXTS, COUNTS),
)


@given(MESSAGES)
def test_what_is_said_is_understood(message):
    assert decode(encode(message)) == message


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(b"F".__add__)))
def test_garbage_is_refused_or_harmless(data):
    with contextlib.suppress(VideoError):
        assert isinstance(decode(data), Filled | Alive | Note | Ended)


def test_what_a_camera_says_cannot_play_tricks_on_a_terminal():
    assert decode(encode(Ended("no\x1b[2J such\nthing"))) == Ended("no?[2J such?thing")


@pytest.mark.parametrize("time", [float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(VideoError, match="not trusted"):
        decode(encode(Filled(0, 1, 1, time, 1, 0)))


def test_a_job_comes_over_as_it_was():
    job = Job(
        "file", {"path": "a", "pace": "fast"}, 12.5, True, 640, (((0.0, 0.5), (1.0, 0.0), (0.1, 0.1)),), 4
    )
    again = Job.from_bytes(job.to_bytes())
    assert again.masks == [[[0.0, 0.5], [1.0, 0.0], [0.1, 0.1]]]
    assert (again.kind, again.options, again.origin, again.slots) == (job.kind, job.options, job.origin, 4)


def test_the_longest_job_of_a_valid_configuration_is_one_datagram():
    corner = (0.12345678901234567, 0.12345678901234567)
    job = Job("rtsp", {"url": "x" * 2048}, 1e9, False, 1280, [[corner] * 64] * 32, 4)
    assert len(job.to_bytes()) < LONGEST
