"""Decodes a video, a file or a folder of pictures, into timed frames: in training as on the device.

Promises: frames come in order with times that never run backwards; a file that cannot be opened, has
no picture or breaks before its first frame is a `VideoError` that names the file. A file that is cut
off later simply ends there, as a camera does. In a folder, every picture must be readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import VideoError
from vedette_edge.types import Frame

__all__ = ["PICTURE_SUFFIXES", "VIDEO_SUFFIXES", "pictures_in", "read_frames"]

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov"})
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_FALLBACK_FPS = 25.0
_CHUNKS = re.compile(r"(\D+)|(\d+)")


def read_frames(
    path: Path, folder_fps: float = _FALLBACK_FPS, wanted: Callable[[float], bool] = lambda _time: True
) -> Iterator[Frame]:
    """Yield the frames of a video file, or of a folder of pictures.

    Times are the container's presentation times, from zero. Containers without usable times (some AVI
    files) are read at their stated frame rate.

    Args:
        path: a file, or a folder of pictures in natural order (frame_2 before frame_10); grey and 16-bit
            pictures become 8-bit BGR, and each keeps its own size.
        folder_fps: pictures a second in a folder, which has no clock. With the network's own rate each
            picture is one sample.
        wanted: asked once of each frame of a file in turn, by its time; only those it wants are converted.

    Raises:
        VideoError: when the file is missing, not a video, or holds no readable frame; when a folder has no
            picture, or one that cannot be read.
    """
    if path.is_dir():
        yield from _pictures_of(path, folder_fps)
        return
    if not path.is_file():
        raise VideoError(f"{path}: no such video file")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise VideoError(f"{path}: not a video that FFmpeg can open (empty, audio only, or damaged)")
        yield from _frames_of(capture, path, wanted)
    finally:
        capture.release()


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder in natural order: numbers in names count as numbers."""
    found = [
        p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".")
    ]
    return sorted(found, key=lambda p: ([(int(n or 0), s) for s, n in _CHUNKS.findall(p.name)], p.name))


def _pictures_of(folder: Path, fps: float) -> Iterator[Frame]:
    paths = pictures_in(folder)
    if not paths:
        raise VideoError(f"{folder}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) in this folder")
    for index, path in enumerate(paths):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoError(
                f"{path}: not a picture that OpenCV can read (empty, cut off, or another format)"
            )
        yield Frame(np.asarray(image, dtype=np.uint8), index / fps)


def _frames_of(capture: cv2.VideoCapture, path: Path, wanted: Callable[[float], bool]) -> Iterator[Frame]:
    stated = capture.get(cv2.CAP_PROP_FPS)
    period = 1.0 / (stated if 0 < stated < 1000 else _FALLBACK_FPS)
    origin = last = 0.0
    count = 0
    while capture.grab():
        time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        if count == 0:
            origin = time
        time -= origin
        if count > 0 and time <= last:
            time = last + period
        if wanted(time):
            good, image = capture.retrieve()
            if not good:
                break
            yield Frame(np.asarray(image, dtype=np.uint8), time)
        last = time
        count += 1
    if count == 0:
        raise VideoError(f"{path}: opened, but not one frame could be decoded")
