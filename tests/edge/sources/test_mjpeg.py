from __future__ import annotations

import base64
import itertools
import logging
import ssl

import cv2
import numpy as np
import pytest
from http_camera import HEAD, http_camera, jpeg, part
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.errors import VideoError
from vedette_edge.sources.mjpeg import MjpegSource


def go_on(_seconds):
    return False


def play(answer, **options):
    """Return the frames of a camera up to its failure, and the failure's text."""
    frames, clock = [], itertools.count().__next__
    with http_camera(lambda _request: iter([answer] if isinstance(answer, bytes) else answer)) as camera:
        source = MjpegSource(camera.url, go_on, clock, **options)
        with pytest.raises(VideoError) as caught:
            frames.extend(source.frames())
    assert "secret" not in str(caught.value)
    assert f"http://127.0.0.1:{camera.port}/video: " in str(caught.value)
    return frames, str(caught.value)


def test_pictures_become_frames_dated_by_the_clock():
    frames, failure = play([HEAD, part(jpeg(True)), part(jpeg(False))])
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 2
    assert [frame.time for frame in frames] == [0, 1]
    assert frames[0].image.mean() > frames[1].image.mean()
    assert "the stream broke off" in failure


def test_a_chunked_stream_is_read_too():
    head = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = part(jpeg())
    frames, _ = play([head, b"%x\r\n%s\r\n" % (len(body), body)])
    assert len(frames) == 1


def test_a_picture_that_cannot_be_decoded_is_left_out_and_said_once(caplog):
    half = jpeg()[: len(jpeg()) // 3]
    with caplog.at_level(logging.WARNING):
        frames, _ = play([HEAD, part(b"no picture"), part(jpeg()), part(b"x"), part(half[:20]), part(jpeg())])
    assert len(frames) == 2
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == [
        "pictures that cannot be decoded are left out"
    ]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "closed connection without response"),
        (b"\x00\xff\xfe rubbish \r\n\r\n", "rubbish"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "not a stream of pictures"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "no such stream; check the path"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200, "100 headers"),
        (HEAD + b"x" * 10_000, "no boundary"),
        (HEAD + b"--frame\r\nContent-Length: 5000\r\n\r\n", "at most 1024"),
    ],
)
def test_what_is_no_stream_is_one_sentence(answer, sentence):
    frames, failure = play(answer, max_picture_bytes=1024)
    assert frames == []
    assert sentence in failure


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=1, max_size=2000))
def test_rubbish_behind_a_good_beginning_ends_in_our_own_error(rubbish):
    play(HEAD + part(jpeg()) + rubbish)


def test_a_silent_camera_times_out():
    with http_camera(lambda _request: iter(())) as camera:
        silent = http_camera(lambda _request: wait(camera))
        with silent as camera, pytest.raises(VideoError, match="no answer"):
            list(MjpegSource(camera.url, go_on, timeout=0.2).frames())


def wait(camera):
    camera.stopping.wait(5)
    yield b""


def test_nobody_there_is_one_sentence():
    with http_camera(lambda _request: iter(())) as camera:
        url = camera.url
    with pytest.raises(VideoError, match="connection refused"):
        list(MjpegSource(url, go_on).frames())


def test_the_password_goes_to_the_camera_and_nowhere_else(tmp_path):
    (tmp_path / "password").write_text("päss:word\nmore\n", encoding="utf-8")
    requests = []

    def answer(request):
        requests.append(request)
        yield b"HTTP/1.1 401 Unauthorized\r\n\r\n"

    with http_camera(answer) as camera:
        source = MjpegSource(
            camera.url, go_on, username="me", password_file=str(tmp_path / "password")
        ).frames()
        with pytest.raises(VideoError, match="refuses the user name or password") as caught:
            next(source)
        with pytest.raises(VideoError, match="wants a password"):
            next(MjpegSource(camera.url, go_on).frames())
    assert b"Authorization: Basic " + base64.b64encode("me:päss:word".encode()) in requests[0]
    assert b"GET /video?token=secret " in requests[0]
    assert b"Authorization" not in requests[1]
    assert "päss" not in str(caught.value)


def test_a_picture_of_a_billion_pixels_is_left_out():
    good = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    start = good.index(b"\xff\xc0") + 5
    good[start : start + 4] = b"\xff\xff\xff\xff"
    frames, _ = play([HEAD, part(bytes(good)), part(jpeg())])
    assert len(frames) == 1


def test_https_does_not_trust_everybody(monkeypatch):
    contexts = []
    make = ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda **given: contexts.append(make(**given)) or contexts[0]
    )
    with http_camera(lambda _request: iter([b"not tls"])) as camera:
        url = camera.url.replace("http:", "https:")
        with pytest.raises(VideoError, match="https://127"):
            list(MjpegSource(url, go_on, timeout=2).frames())
    assert contexts[0].verify_mode == ssl.CERT_REQUIRED


def test_it_ends_when_told_to():
    answers = iter([False, True])
    with http_camera(lambda _request: iter([HEAD, part(jpeg())])) as camera:
        assert len(list(MjpegSource(camera.url, lambda _seconds: next(answers)).frames())) == 1
