"""A camera on USB, or any other that Video4Linux knows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import cv2

from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.grabbing import grab_frames
from vedette_edge.types import Frame

__all__ = ["UsbSource"]


class UsbSource:
    """Reads a Video4Linux device; each frame is dated when it arrives."""

    def __init__(
        self,
        device: int | str,
        pause: Pause,
        clock: Clock = time.monotonic,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        fourcc: str | None = None,
        wanted: Wanted = always,
        open_device: Callable[[str], cv2.VideoCapture] = lambda path: cv2.VideoCapture(path, cv2.CAP_V4L2),
    ) -> None:
        """Read a device.

        Args:
            device: its path, or the number in /dev/videoN.
            pause: how to learn that it is time to end.
            clock: seconds, rising.
            width: pixels to ask for; the camera gives the nearest that it has.
            height: likewise.
            fps: frames a second to ask for.
            fourcc: pixel format to ask for, such as MJPG; uncompressed, USB 2 carries 720p at 10 a second.
            wanted: which frames are converted and given.
            open_device: opens a path.
        """
        self._path = f"/dev/video{device}" if isinstance(device, int) else device
        self._pause = pause
        self._clock = clock
        # In this order: the format decides which sizes there are, the size which rates.
        self._wishes = [
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc) if fourcc else None),
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, fps),
        ]
        self._wanted = wanted
        self._open_device = open_device

    def frames(self) -> Iterator[Frame]:
        """Yield frames while the device gives some.

        Raises:
            VideoError: when there is no such device, it may not be read, or it fails.
        """
        capture = self._open_device(self._path)
        try:
            if not capture.isOpened():
                raise VideoError(f"{self._path}: {self._why_not()}")
            for setting, value in self._wishes:
                if value is not None:
                    capture.set(setting, value)
            yield from grab_frames(capture, self._pause, self._clock, self._wanted)
            if not self._pause(0.0):
                raise VideoError(f"{self._path}: no more pictures; is it still plugged in?")
        finally:
            capture.release()

    def _why_not(self) -> str:
        if not os.path.exists(self._path):
            return "there is no such device"
        if not os.access(self._path, os.R_OK | os.W_OK):
            return "the agent's user may not use this device; add it to the group 'video'"
        return "not a camera that Video4Linux can read, or another program uses it"
