"""Decodes a video file into timed frames. The same decoder serves training, evaluation and the device.

Promises: frames come in order with times that never run backwards; a file that cannot be opened, has
no picture or breaks before its first frame is a `VideoError` that names the file. A file that is cut
off later simply ends there, as a camera does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import VideoError
from vedette_edge.types import Frame

__all__ = ["VIDEO_SUFFIXES", "read_frames"]

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov"})
_FALLBACK_FPS = 25.0


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of a video file.

    Times are the container's presentation times, from zero. Containers without usable times (some AVI
    files) are read at their stated frame rate.

    Raises:
        VideoError: when the file is missing, not a video, or holds no readable frame.
    """
    if not path.is_file():
        raise VideoError(f"{path}: no such video file")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise VideoError(f"{path}: not a video that FFmpeg can open (empty, audio only, or damaged)")
        yield from _frames_of(capture, path)
    finally:
        capture.release()


def _frames_of(capture: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    stated = capture.get(cv2.CAP_PROP_FPS)
    period = 1.0 / (stated if 0 < stated < 1000 else _FALLBACK_FPS)
    origin = last = 0.0
    count = 0
    while True:
        ok, image = capture.read()
        if not ok:
            break
        time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        if count == 0:
            origin = time
        time -= origin
        if count > 0 and time <= last:
            time = last + period
        yield Frame(np.asarray(image, dtype=np.uint8), time)
        last = time
        count += 1
    if count == 0:
        raise VideoError(f"{path}: opened, but not one frame could be decoded")
