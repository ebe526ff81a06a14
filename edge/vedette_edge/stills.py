"""A picture as bytes: JPEG or WebP, no larger than a bound."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from vedette_edge.types import Image

__all__ = ["CONTENT_TYPES", "Still", "StillFormat", "encode", "suffix_of"]

StillFormat: TypeAlias = Literal["jpeg", "webp"]

CONTENT_TYPES: dict[StillFormat, str] = {"jpeg": "image/jpeg", "webp": "image/webp"}

_ENCODERS: dict[StillFormat, tuple[str, int]] = {
    "jpeg": (".jpg", cv2.IMWRITE_JPEG_QUALITY),
    "webp": (".webp", cv2.IMWRITE_WEBP_QUALITY),
}
_MIN_QUALITY = 20
_STEP = 15
_MIN_SIDE = 16  # pixels; a smaller picture shows nothing


@dataclass(frozen=True, slots=True)
class Still:
    """An encoded picture.

    Attributes:
        data: the file's content.
        format: its format.
        width: pixels.
        height: pixels.
    """

    data: bytes
    format: StillFormat
    width: int
    height: int

    @property
    def content_type(self) -> str:
        """Its MIME type."""
        return CONTENT_TYPES[self.format]

    @property
    def sha256(self) -> str:
        """The digest of its bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def encode(
    image: Image, *, to: StillFormat = "jpeg", quality: int = 85, max_bytes: int | None = None
) -> Still:
    """Return the picture encoded, within `max_bytes` where that can be had.

    Quality falls first, down to 20, then the size is halved until it fits.

    Args:
        image: (H, W, 3) uint8, BGR.
        to: the format.
        quality: to begin with, 1..100.
        max_bytes: bound on the result, or None.
    """
    suffix, flag = _ENCODERS[to]
    while True:
        height, width = image.shape[:2]
        data = cv2.imencode(suffix, image, [flag, quality])[1].tobytes()
        if max_bytes is None or len(data) <= max_bytes or min(height, width) < _MIN_SIDE:
            return Still(data, to, width, height)
        if quality > _MIN_QUALITY:
            quality = max(_MIN_QUALITY, quality - _STEP)
        else:
            half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            image = np.asarray(half, dtype=np.uint8)


def suffix_of(data: bytes) -> str:
    """Return the suffix that a picture's file should have: `.webp`, else `.jpg`."""
    return ".webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ".jpg"
