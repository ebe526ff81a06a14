from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.errors import VideoError
from vedette_edge.sources.multipart import Multipart, boundary_of

MOST = 500
# Bodies that could be pictures: none holds the boundary, none ends in what belongs to a line's end.
BODIES = st.lists(
    st.binary(min_size=1, max_size=MOST).filter(lambda body: b"--f" not in body and body[-1] not in b"\r\n-"),
    max_size=5,
)


def cut(data, sizes):
    """Yield `data` in pieces of these sizes, over and over."""
    start, number = 0, 0
    while start < len(data):
        yield data[start : start + sizes[number % len(sizes)]]
        start += sizes[number % len(sizes)]
        number += 1


def parts_of(pieces, most=MOST):
    multipart = Multipart(b"--f", most)
    return [part for piece in pieces for part in multipart.push(piece)]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("stated", [True, False])
@given(bodies=BODIES, sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_the_parts_come_out_however_the_stream_was_cut(newline, stated, bodies, sizes):
    stream = b"some preamble" + newline
    for body in bodies:
        length = b"content-length: %d" % len(body) + newline if stated else b""
        stream += b"--f" + newline + b"Content-Type: image/jpeg" + newline + length + newline + body + newline
    stream += b"--f--" + newline
    assert parts_of(cut(stream, sizes)) == bodies


@given(st.lists(st.binary(max_size=300), max_size=60))
def test_garbage_gives_no_error_but_our_own_and_takes_no_memory(pieces):
    multipart = Multipart(b"--f", MOST)
    with contextlib.suppress(VideoError):
        for piece in pieces:
            assert all(len(part) <= MOST for part in multipart.push(piece))
            assert len(multipart._buffer) <= 8192 + 300


TOKENS = st.sampled_from(
    [b"--f", b"\r\n", b"\n\n", b"Content-Length: 7", b"content-length:-1", b"--", b"x" * 40]
)


@given(st.lists(TOKENS, max_size=200))
def test_almost_a_stream_gives_no_error_but_our_own(tokens):
    with contextlib.suppress(VideoError):
        assert all(len(part) <= MOST for part in parts_of(tokens))


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (b"x" * 9000, "no boundary"),
        (b"--f\r\n" + b"a: b\r\n" * 2000, "no boundary and headers"),
        (b"--f\r\n" + b"a: b\r\n" * 2000 + b"\r\n", "more than 8192 bytes"),
        (b"--f\r\nContent-Length: 501\r\n\r\n", "501 bytes; at most 500"),
        (b"--f\r\nContent-Length: 999999999999\r\n\r\n", "at most 500"),
        (b"--f\r\n\r\n" + b"x" * 501, "without an end"),
        (b"--f\r\n\r\n" + b"x" * 501 + b"--f", "without an end"),
    ],
)
def test_what_would_eat_memory_is_refused(stream, sentence):
    with pytest.raises(VideoError, match=sentence):
        parts_of([stream])


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/x-mixed-replace; boundary=f",
        'multipart/x-mixed-replace;boundary="f"',
        "Multipart/X-Mixed-Replace; charset=x; Boundary=--f ; y",
    ],
)
def test_the_boundary_is_found(content_type):
    assert boundary_of(content_type) == b"--f"


@pytest.mark.parametrize(
    "content_type", ["", "image/jpeg", "multipart/x-mixed-replace", "text/html; boundary=f"]
)
def test_what_is_no_stream_is_refused(content_type):
    with pytest.raises(VideoError, match="not a stream of pictures"):
        boundary_of(content_type)
