"""Real capture processes on real files, and what is left when they are gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from edge_helpers import picture, wait_until
from http_camera import HEAD, http_camera, jpeg, part

from vedette_edge.capture import open_capture
from vedette_edge.capture.messages import Job
from vedette_edge.capture.process import CaptureProcess, Sign
from vedette_edge.config import CameraConfig
from vedette_edge.errors import VideoError
from vedette_edge.types import Frame
from vedette_edge.video import read_frames


def camera(source, **changes):
    return CameraConfig.model_validate_json(json.dumps({"id": "door", "source": source} | changes))


def file_camera(path, **changes):
    return camera({"type": "file", "path": str(path), "pace": "fast"}, **changes)


def job(path, *, wait=True, pace="fast", **changes):
    values = {"max_side": 1280, "masks": (), "slots": 4} | changes
    return Job("file", {"path": str(path), "pace": pace}, time.monotonic(), wait, **values)


def frames_of(config, pause=lambda _seconds: False, on_status=lambda *_: None):
    return open_capture(config, pause, on_status).frames()


@pytest.fixture
def running():
    """Capture processes that a test starts, killed at its end."""
    processes = []

    def start(*arguments, **options):
        processes.append(CaptureProcess(job(*arguments, **options)))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


def state_and_parent(process):
    """Return the letter of a process' state, and its parent; ("Z", 0) when there is no such process."""
    try:
        state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "Z", 0
    return state, int(parent)


def is_alive(process):
    return state_and_parent(process)[0] != "Z"


def children(parent):
    """Return the process ids of the living children of a process."""
    every = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in every if state_and_parent(one)[1] == parent and is_alive(one)]


def next_frame(process):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        received = process.receive(0.2)
        if isinstance(received, Frame) or received is Sign.ENDED:
            return received
    raise AssertionError("no frame within 20 s")


def test_every_frame_comes_over_exactly_as_it_was_decoded(flash_video):
    whole = list(read_frames(flash_video))
    captured = list(frames_of(file_camera(flash_video)))
    assert [frame.time for frame in captured] == [frame.time for frame in whole]
    for got, expected in zip(captured, whole, strict=True):
        np.testing.assert_array_equal(got.image, expected.image)


def test_larger_frames_are_shrunk_and_masked_places_are_black(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, (height, width) in enumerate([(100, 200), (200, 100), (30, 40)]):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((height, width, 3), 200, np.uint8))
    config = camera(
        {"type": "folder", "path": str(folder), "pace": "fast"},
        capture={"max_side": 50},
        privacy={"masks": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]},
    )
    images = [frame.image for frame in frames_of(config)]
    assert [image.shape for image in images] == [(25, 50, 3), (50, 25, 3), (30, 40, 3)]
    for image in images:
        assert not image[:, : image.shape[1] // 2].any()
        assert (image[:, image.shape[1] // 2 + 2 :] == 200).all()


def test_a_process_that_must_not_drop_waits_for_whoever_is_slow(running, flash_video):
    process = running(flash_video)
    first = next_frame(process)
    time.sleep(0.3)
    rest = []
    while isinstance(received := next_frame(process), Frame):
        rest.append(received)
    assert len([first, *rest]) == 175
    assert process.dropped == 0


def test_a_process_that_must_stay_live_drops_and_counts_and_tears_no_frame(running, tmp_path):
    video = tmp_path / "counting.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for number in range(120):
        writer.write(np.full((480, 640, 3), 2 * number, np.uint8))
    writer.release()
    whole = {frame.time: frame.image for frame in read_frames(video)}
    process = running(video, wait=False)
    received = []
    while isinstance(frame := next_frame(process), Frame):
        received.append(frame)
        time.sleep(0.03)  # slower than the decoder
    assert 4 <= len(received) < 120
    assert 0 < process.dropped <= 120 - len(received)
    for frame in received:
        np.testing.assert_array_equal(frame.image, whole[frame.time])


@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_process_that_dies_says_of_what(running, flash_video, number, name):
    process = running(flash_video, pace="realtime")
    next_frame(process)
    os.kill(process._process.pid, number)
    with pytest.raises(VideoError, match=f"died of {name}"):
        list(iter(lambda: next_frame(process), None))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_meant_to_stop_the_agent_does_not_stop_a_process(running, flash_video, number):
    process = running(flash_video, pace="realtime")
    next_frame(process)
    os.kill(process._process.pid, number)
    assert all(isinstance(next_frame(process), Frame) for _ in range(20))


def test_a_source_that_fails_says_why(running, tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: no such video file"):
        next_frame(running(tmp_path / "gone.mp4"))


def test_a_process_that_cannot_be_started_is_one_sentence_and_leaves_nothing(flash_video, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(VideoError, match=r"cannot start a capture process \(No such file or directory\)"):
        CaptureProcess(job(flash_video))
    assert os.listdir("/proc/self/fd") == before


def test_a_broken_picture_in_a_folder_is_in_the_agents_log(tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "1.png"), picture(True))
    (tmp_path / "2.png").write_bytes(b"broken")
    config = camera({"type": "folder", "path": str(tmp_path), "pace": "fast"})
    assert len(list(frames_of(config))) == 1
    assert "2.png: not a picture that OpenCV can read" in caplog.text


def test_a_process_that_breaks_the_rules_is_not_trusted(running, flash_video, monkeypatch):
    process = running(flash_video, pace="realtime")
    next_frame(process)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setattr(process, "_channel", ours)
    with ours, theirs:
        for rubbish in (b"hello", b"F" + b"\xff" * 28, b"F" + bytes(12) + b"\x7f\xf8" + bytes(14)):
            theirs.send(rubbish)
            with pytest.raises(VideoError, match="not trusted"):
                process.receive(1)


def test_a_process_needs_neither_pydantic_nor_a_runtime():
    heavy = ["pydantic", "yaml", "paho", "onnxruntime", "openvino", "torch"]
    script = (
        "import sys, vedette_edge.capture.__main__, vedette_edge.sources.rtsp, vedette_edge.sources.file\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_setting_is_in_a_command_line(flash_video):
    capture = open_capture(file_camera(flash_video), lambda _seconds: False, lambda *_: None)
    frames = capture.frames()
    next(frames)
    line = Path(f"/proc/{capture._worker._process.pid}/cmdline").read_bytes()
    frames.close()
    assert b"vedette_edge.capture" in line
    assert b"flash" not in line


def test_thirty_restarts_leave_nothing_behind():
    """Of descriptors, of shared memory, of processes."""

    def count():
        maps = Path("/proc/self/maps").read_text()
        return len(os.listdir("/proc/self/fd")), maps.count("memfd:vedette"), len(children(os.getpid()))

    statuses = []
    with http_camera(lambda _request: iter([HEAD, part(jpeg()), part(jpeg())])) as http:
        config = camera({"type": "mjpeg", "url": http.url}, capture={"longest_retry": 0.001})
        capture = open_capture(
            config, lambda _seconds: capture.restarts >= 30, lambda status, _reason: statuses.append(status)
        )
        before = count()
        times = [frame.time for frame in capture.frames()]
        assert capture.restarts == 30
        assert count() == before
    assert len(times) == 60
    assert times == sorted(times)
    assert statuses[:4] == ["online", "stalled", "online", "stalled"]


AGENT = """
import json, sys, time
from vedette_edge.capture import open_capture
from vedette_edge.config import CameraConfig

frames = open_capture(
    CameraConfig.model_validate_json(sys.argv[1]), lambda _seconds: False, lambda *_: None
).frames()
next(frames)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "gstreamer"])
def test_processes_die_with_a_killed_agent(flash_video, kind):
    source = {"type": "file", "path": str(flash_video), "pace": "realtime"}
    if kind == "gstreamer":
        if shutil.which("gst-launch-1.0") is None:
            pytest.skip("gst-launch-1.0 is not installed")
        # Silent after its first picture, so that no broken pipe tells it that nobody listens.
        pipeline = "videotestsrc is-live=true ! video/x-raw,framerate=1/100"
        source = {"type": "gstreamer", "pipeline": pipeline}
    config = json.dumps({"id": "door", "source": source})
    agent = subprocess.Popen([sys.executable, "-c", AGENT, config], stdout=subprocess.PIPE)
    try:
        assert agent.stdout.readline() == b"ready\n"
        started = children(agent.pid)
        started += [grandchild for child in started for grandchild in children(child)]
        assert len(started) == (2 if kind == "gstreamer" else 1)
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()
    wait_until(lambda: not any(map(is_alive, started)))
