"""Pictures from any file that OpenCV reads, as the network's input: the device's own steps.

Grey, colour, with or without transparency, 8 or 16 bit, of any size.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import DataError
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.types import FloatArray, Image

__all__ = ["SUFFIXES", "as_tensor", "read_image", "read_mask", "to_colour"]

SUFFIXES = frozenset(
    {".bmp", ".dib", ".exr", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".pic", ".png", ".pnm"}
    | {".ppm", ".pxm", ".ras", ".sr", ".tif", ".tiff", ".webp", ".avif", ".gif"}
)


def read_image(path: Path, white: int = 65535) -> Image:
    """Read a picture as (H, W, 3) uint8 BGR.

    Args:
        path: the file.
        white: the value of white in 16-bit pictures; brighter values are cut.

    Raises:
        DataError: when it cannot be decoded or has values of another kind than 8 or 16 bit.
    """
    return to_colour(_decode(path, cv2.IMREAD_UNCHANGED), white, str(path))


def to_colour(pixels: np.ndarray, white: int, name: str) -> Image:
    """Return pixels as (H, W, 3) uint8 BGR.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA; uint8 or uint16.
        white: the value of white in uint16.
        name: whose pixels these are, for messages.

    Raises:
        DataError: when they are of another kind.
    """
    if pixels.dtype == np.uint16:
        pixels = np.clip(pixels * np.float32(255.0 / white), 0, 255).round().astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise DataError(f"{name}: values are {pixels.dtype}; expected a picture of 8 or 16 bit")
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise DataError(f"{name}: expected 1, 3 or 4 channels, found shape {pixels.shape}")
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
    return np.ascontiguousarray(colour)


def read_mask(path: Path, height: int, width: int) -> np.ndarray:
    """Read a mask of defects as (H, W) bool, True on the defect, at the picture's size.

    Raises:
        DataError: when it cannot be decoded or has another size than the picture.
    """
    mask = _decode(path, cv2.IMREAD_GRAYSCALE)
    if mask.shape != (height, width):
        raise DataError(
            f"{path}: the mask is {mask.shape[1]} x {mask.shape[0]}, its picture {width} x {height}; a mask "
            "must have its picture's size"
        )
    return np.asarray(mask >= 128)


def as_tensor(image: Image, spec: InputSpec) -> FloatArray:
    """Return a picture, (H, W, 3) uint8 BGR of any size, as the network's input, (3, H, W) float32."""
    return np.asarray(to_tensor([fit(image, spec)], spec)[0, :, 0], dtype=np.float32)


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        data = np.fromfile(path, np.uint8)
        pixels = cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if pixels is None:
        raise DataError(f"{path}: is not a picture that can be decoded; replace or remove it")
    return np.asarray(pixels)
