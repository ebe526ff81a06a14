"""Real cameras on loopback that hang, die, lie and come back."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import threading

import numpy as np
import pytest
from edge_helpers import free_port, wait_until
from http_camera import HEAD, http_camera, jpeg, part
from rtsp_server import rtsp_server, why_absent

from vedette_edge.capture import open_capture
from vedette_edge.config import CameraConfig

needs_server = pytest.mark.skipif(bool(why_absent()), reason=why_absent() or "there is one")


class Viewer:
    """Reads a camera in a thread of its own, as the agent does."""

    def __init__(self, name, source, **capture):
        config = {"id": name, "source": source, "capture": capture}
        self.times, self.statuses, self.images = [], [], []
        self._stop = threading.Event()
        self.capture = open_capture(
            CameraConfig.model_validate_json(json.dumps(config)),
            self._stop.wait,
            lambda *status: self.statuses.append(status),
        )
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def _run(self):
        for frame in self.capture.frames():
            self.times.append(frame.time)
            self.images.append(frame.image)

    def wait_for(self, *statuses, seconds=20):
        """Wait until these statuses, and no other, have been told in this order."""
        wait_until(lambda: len(self.statuses) >= len(statuses), seconds, f"{statuses} of {self.statuses}")
        assert [status for status, _ in self.statuses[: len(statuses)]] == list(statuses)

    def wait_for_frames(self, more):
        enough = len(self.times) + more
        wait_until(lambda: len(self.times) >= enough, 20, f"{more} more frames")

    def close(self):
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def view():
    with contextlib.ExitStack() as stack:

        def view(source, name="door", **capture):
            quick = {"stall_after": 1.0, "longest_retry": 0.3}
            viewer = Viewer(name, source, **(quick | capture))
            stack.callback(viewer.close)
            return viewer

        yield view


@needs_server
def test_an_rtsp_camera_that_loses_its_power_is_stalled_then_offline_and_comes_back(view):
    with rtsp_server(free_port()) as server:
        viewer = view({"type": "rtsp", "url": server.url})
        viewer.wait_for_frames(10)
        server.kill()
        viewer.wait_for("online", "stalled", "offline")
        before = len(viewer.times)
        assert "connection refused" in viewer.statuses[-1][1]
        server.start()
        viewer.wait_for_frames(10)
        assert viewer.statuses[-1] == ("online", "")
    assert np.diff(viewer.times).min() > 0
    assert viewer.times[before] - viewer.times[before - 1] > 0.2
    assert len({image.tobytes() for image in viewer.images[:10]}) > 1  # the ball moves


@needs_server
def test_an_rtsp_camera_that_freezes_is_stalled_and_comes_back_when_it_thaws(view):
    with rtsp_server(free_port()) as server:
        viewer = view({"type": "rtsp", "url": server.url}, open_within=3)
        viewer.wait_for_frames(5)
        server.freeze()
        viewer.wait_for("online", "stalled")
        assert viewer.statuses[-1] == ("stalled", "no picture for 1 s")
        server.thaw()
        viewer.wait_for_frames(5)
        assert viewer.statuses[-1] == ("online", "")


@pytest.mark.parametrize("kind", ["rtsp", "mjpeg"])
def test_a_camera_that_sends_garbage_is_offline_with_a_reason(view, kind):
    rubbish = np.random.default_rng(0).bytes(20_000)
    scheme = {"rtsp": "rtsp", "mjpeg": "http"}[kind]
    with http_camera(lambda _request: iter([rubbish])) as camera:
        viewer = view({"type": kind, "url": f"{scheme}://127.0.0.1:{camera.port}/live", "timeout": 2})
        viewer.wait_for("offline")
        wait_until(lambda: viewer.capture.restarts >= 2, 20)
    assert {status for status, _ in viewer.statuses} == {"offline"}
    assert f"{scheme}://127.0.0.1:{camera.port}/live: " in viewer.statuses[0][1]
    assert viewer.times == []


def test_an_mjpeg_camera_that_falls_silent_is_stalled_and_started_again(view):
    connections = itertools.count()

    def answer(_request):
        yield HEAD
        if next(connections) % 2:  # every second connection goes on
            while True:
                yield part(jpeg())
                camera.stopping.wait(0.04)
        yield part(jpeg())
        camera.stopping.wait(30)

    with http_camera(answer) as camera:
        viewer = view({"type": "mjpeg", "url": camera.url})
        viewer.wait_for("online", "stalled", "online")
        viewer.wait_for_frames(10)
        assert viewer.capture.restarts == 1
    assert viewer.statuses[1] == ("stalled", "no picture for 1 s")
    # A restart is a gap in the times, which never run back.
    assert viewer.times[1] - viewer.times[0] > 1.0
    assert np.diff(viewer.times).min() > 0


def test_a_camera_that_trickles_bytes_is_stalled_too(view):
    def answer(_request):
        yield HEAD + part(jpeg())
        for byte in itertools.cycle(part(jpeg())[:200]):
            yield bytes([byte])
            camera.stopping.wait(0.05)

    with http_camera(answer) as camera:
        viewer = view({"type": "mjpeg", "url": camera.url})
        viewer.wait_for("online", "stalled")


def test_a_camera_that_never_answers_is_offline_and_holds_up_no_other(view):
    with socket.create_server(("127.0.0.1", 0)) as silent, http_camera(endless) as camera:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        dead = [view({"type": "rtsp", "url": url}, f"dead-{number}", open_within=1.5) for number in range(2)]
        good = view({"type": "mjpeg", "url": camera.url}, "good", stall_after=5)
        for viewer in dead:
            viewer.wait_for("offline", seconds=30)
            assert viewer.statuses[0][1] == "no picture for 1.5 s"
        good.wait_for_frames(20)
        assert [status for status, _ in good.statuses] == ["online"]


def test_a_decoder_that_dies_is_started_again(view):
    with http_camera(endless) as camera:
        viewer = view({"type": "mjpeg", "url": camera.url})
        viewer.wait_for_frames(3)
        os.kill(viewer.capture._worker._process.pid, signal.SIGSEGV)
        viewer.wait_for("online", "stalled", "online")
        assert viewer.statuses[1] == ("stalled", "the capture process died of SIGSEGV")


def endless(_request):
    yield HEAD
    while True:
        yield part(jpeg())
        threading.Event().wait(0.04)
