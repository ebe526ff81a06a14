from __future__ import annotations

import contextlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.errors import VideoError
from vedette_edge.sources.y4m import read_y4m

HEADER = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420\n"


def planes(colour):
    return cv2.cvtColor(np.full((48, 64, 3), colour, np.uint8), cv2.COLOR_BGR2YUV_I420).tobytes()


def test_pictures_come_out_in_order_and_colour():
    colours = [(0, 0, 200), (200, 0, 0), (30, 180, 60)]
    stream = io.BytesIO(HEADER + b"".join(b"FRAME\n" + planes(colour) for colour in colours))
    for image, colour in zip(read_y4m(stream), colours, strict=True):
        assert image.shape == (48, 64, 3)
        np.testing.assert_allclose(image.mean(axis=(0, 1)), colour, atol=3)


def test_each_picture_has_memory_of_its_own():
    stream = io.BytesIO(HEADER + b"".join(b"FRAME\n" + planes(colour) for colour in [(0, 0, 0), (255,) * 3]))
    first, second = read_y4m(stream)
    assert first.mean() < 1 < second.mean()


@pytest.mark.parametrize("left", [0, 3, 6, 100])
def test_a_stream_that_is_cut_off_ends_there(left):
    stream = HEADER + b"FRAME\n" + planes((0, 0, 0)) + (b"FRAME\n" + planes((0, 0, 0)))[:left]
    assert len(list(read_y4m(io.BytesIO(stream)))) == 1


@pytest.mark.parametrize(
    "header",
    [
        b"RIFF\n",
        b"YUV4MPEG2 W64 H48 C444\n",
        b"YUV4MPEG2 W63 H48 C420\n",
        b"YUV4MPEG2 W0 H48 C420\n",
        b"YUV4MPEG2 W99999 H99999 C420\n",
        b"YUV4MPEG2" + b"W" * 10_000,
    ],
)
def test_what_is_no_such_stream_is_refused(header):
    with pytest.raises(VideoError, match="not raw video"):
        list(read_y4m(io.BytesIO(header)))


@given(st.binary(max_size=300), st.booleans())
def test_garbage_gives_no_error_but_our_own(data, with_header):
    with contextlib.suppress(VideoError):
        list(read_y4m(io.BytesIO(HEADER + data if with_header else data)))
