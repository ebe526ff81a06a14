"""Writes frames to a video file, and does not believe that it worked until the file was read back.

The file gets its name only when it is complete: an interrupted run leaves a name that begins with a dot.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import cv2

from vedette_edge.errors import DataError
from vedette_train.data.synthetic.backdrop import Image


def write_video(path: Path, frames: Iterable[Image], *, size: tuple[int, int], fps: float) -> int:
    """Encode frames as MPEG-4 video.

    Args:
        path: The file; its name ends in `.mp4`.
        frames: (H, W, 3) uint8, BGR, all of the same size.
        size: Width and height, pixels.
        fps: Frames per second.

    Returns:
        How many frames the file holds.

    Raises:
        DataError: The name does not end in `.mp4`, OpenCV cannot write there, or the file does not read back.
    """
    if path.suffix != ".mp4":
        raise DataError(f"cannot write the video '{path}': its name must end in .mp4")
    partial = path.with_name(f".{path.stem}.partial.mp4")
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    if not writer.isOpened():
        raise DataError(
            f"cannot write the video '{path}': OpenCV opened no mp4v writer there; does the folder exist?"
        )
    written = 0
    try:
        for frame in frames:
            writer.write(frame)
            written += 1
    finally:
        writer.release()
    found = _count_frames(partial)
    if found != written:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"the video '{path}' reads back with {found} frames instead of {written}: is the disk full?"
        )
    os.replace(partial, path)
    return written


def _count_frames(path: Path) -> int:
    """Decode a file to its end."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count
