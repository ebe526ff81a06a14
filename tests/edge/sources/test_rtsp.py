from __future__ import annotations

import itertools

import pytest
from edge_helpers import free_port
from http_camera import http_camera
from hypothesis import given, settings
from hypothesis import strategies as st
from rtsp_server import rtsp_server, why_absent

from vedette_edge.errors import VideoError
from vedette_edge.sources.rtsp import RtspSource, diagnose

needs_server = pytest.mark.skipif(bool(why_absent()), reason=why_absent() or "there is one")
PASSWORD = "a:b@c/d%?# é"


def go_on(_seconds):
    return False


@pytest.fixture(scope="module")
def server():
    with rtsp_server(free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def locked():
    with rtsp_server(free_port(), "me", PASSWORD) as server:
        yield server


@needs_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_stream_plays_over(server, transport):
    source = RtspSource(server.url, go_on, itertools.count().__next__, transport)
    frames = list(itertools.islice(source.frames(), 5))
    assert [frame.time for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[-1].image.shape == (240, 320, 3)
    assert frames[-1].image.max() > 200  # the ball


@needs_server
def test_a_password_with_every_awkward_character_opens_the_stream(locked, tmp_path):
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    source = RtspSource(locked.url, go_on, username="me", password_file=str(tmp_path / "password"))
    assert next(source.frames()).image.shape == (240, 320, 3)


@needs_server
def test_a_wrong_password_is_refused_and_not_told(locked, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "wrong-one")
    source = RtspSource(locked.url, go_on, username="me", password_env="CAMERA_PASSWORD")
    with pytest.raises(VideoError, match="refuses the user name or password") as caught:
        next(source.frames())
    assert "wrong-one" not in str(caught.value)
    with pytest.raises(VideoError, match="wants a password"):
        next(RtspSource(locked.url, go_on).frames())


@needs_server
def test_a_path_that_is_not_there_is_named(server):
    with pytest.raises(VideoError, match="ball2: cannot be opened: the camera has no such stream"):
        next(RtspSource(f"{server.url}2", go_on).frames())


def test_nobody_there_is_one_sentence():
    with pytest.raises(VideoError, match="cannot be opened: connection refused"):
        next(RtspSource(f"rtsp://127.0.0.1:{free_port()}/live", go_on).frames())


def test_a_name_that_nobody_knows_is_one_sentence():
    assert diagnose("rtsp://no-such-camera.invalid/live", has_username=False) == "its name cannot be resolved"


@pytest.mark.parametrize(
    "rubbish", [b"", b"\x00" * 5000, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"RTSP/1.0 200"]
)
def test_a_camera_that_speaks_something_else_is_one_sentence(rubbish):
    with http_camera(lambda _request: iter([rubbish])) as camera:
        source = RtspSource(f"rtsp://127.0.0.1:{camera.port}/live", go_on, timeout=2)
        with pytest.raises(VideoError, match=r"there is no RTSP at this port|connection reset"):
            next(source.frames())


@settings(max_examples=10, deadline=None)
@given(st.binary(min_size=1, max_size=2000))
def test_whatever_a_camera_answers_is_a_video_error(rubbish):
    with http_camera(lambda _request: iter([b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n", rubbish])) as camera:
        source = RtspSource(f"rtsp://127.0.0.1:{camera.port}/live", go_on, timeout=1)
        with pytest.raises(VideoError, match="cannot be opened"):
            next(source.frames())
