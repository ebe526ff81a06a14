from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from vedette_edge.errors import VideoError
from vedette_edge.sources.usb import UsbSource


def go_on(_seconds):
    return False


class Device:
    """A twin of a Video4Linux device."""

    def __init__(self, path, frames, opens=True):
        self.path, self.left, self.opens = path, frames, opens
        self.set_to, self.released, self.converted = [], False, 0

    def isOpened(self):  # noqa: N802
        return self.opens

    def set(self, setting, value):
        self.set_to.append((setting, value))
        return True

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        self.converted += 1
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self):
        self.released = True


def devices(frames, opens=True):
    made = []

    def open_device(path):
        made.append(Device(path, frames, opens))
        return made[-1]

    return made, open_device


def test_what_is_wished_for_is_asked_of_the_device_format_first():
    made, open_device = devices(frames=2)
    source = UsbSource(
        2, go_on, iter([0.5, 0.6]).__next__, 1280, 720, 30.0, fourcc="MJPG", open_device=open_device
    )
    frames = source.frames()
    assert [next(frames).time, next(frames).time] == [0.5, 0.6]
    with pytest.raises(VideoError, match="/dev/video2: no more pictures"):
        next(frames)
    (device,) = made
    assert device.path == "/dev/video2"
    assert device.set_to == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 30.0),
    ]
    assert device.released


def test_a_frame_that_nobody_wants_is_not_converted():
    made, open_device = devices(frames=4)
    times = iter([0.0, 0.1, 0.2, 0.3, 0.4]).__next__
    source = UsbSource(0, go_on, times, open_device=open_device, wanted=lambda time: time in (0.0, 0.3))
    frames = source.frames()
    assert [next(frames).time, next(frames).time] == [0.0, 0.3]
    assert made[0].converted == 2


def test_nothing_is_set_that_was_not_asked_for():
    made, open_device = devices(frames=1)
    next(UsbSource("/dev/v4l/by-id/cam", go_on, open_device=open_device).frames())
    assert (made[0].path, made[0].set_to) == ("/dev/v4l/by-id/cam", [])


def test_a_device_that_is_not_there_is_one_sentence():
    with pytest.raises(VideoError, match="/dev/video-none: there is no such device"):
        list(UsbSource("/dev/video-none", go_on).frames())


def test_a_file_that_is_no_device_is_one_sentence(tmp_path):
    (tmp_path / "video").write_bytes(b"no device")
    with pytest.raises(VideoError, match="not a camera that Video4Linux can read"):
        list(UsbSource(str(tmp_path / "video"), go_on).frames())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_device_without_permission_names_the_group(tmp_path):
    (tmp_path / "video").touch(mode=0)
    with pytest.raises(VideoError, match="group 'video'"):
        list(UsbSource(str(tmp_path / "video"), go_on).frames())
