"""Reads YUV4MPEG2, the raw video that says its own size, from a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import cv2
import numpy as np

from vedette_edge.errors import VideoError
from vedette_edge.types import Image

__all__ = ["read_y4m"]

_MOST_LINE = 256  # bytes
_MOST_PIXELS = 2**26
_SIZE = re.compile(rb"YUV4MPEG2(?= )(?=.* W(\d{1,5})\b)(?=.* H(\d{1,5})\b)(?=.* C420)")


def read_y4m(stream: IO[bytes]) -> Iterator[Image]:
    """Yield the pictures of a stream in 4:2:0, as (H, W, 3) BGR; limited range, BT.601.

    Raises:
        VideoError: when it is no such stream. One that is cut off simply ends there.
    """
    header = stream.readline(_MOST_LINE)
    if not header:
        return
    size = _SIZE.match(header)
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    # The chroma planes of odd sizes are rounded up, which OpenCV does not know.
    if not 0 < width * height <= _MOST_PIXELS or width % 2 or height % 2:
        raise VideoError(f"not raw video in 4:2:0 of an even size, but {header[:80]!r}")
    planes = np.empty((height * 3 // 2, width), np.uint8)
    while stream.readline(_MOST_LINE).startswith(b"FRAME"):
        if stream.readinto(planes.data.cast("B")) < planes.nbytes:  # type: ignore[attr-defined]
            return
        yield np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
