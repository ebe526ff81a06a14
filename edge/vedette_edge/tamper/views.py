"""What a camera usually sees, and how much of it is in a picture. Pure.

A view is compared with its reference tile by tile, in local contrast, which light does not change. A tile is
kept where the two correlate. What moves through the picture loses some tiles, a turned or covered camera
nearly all. In tiles that are kept, the share of fine detail tells whether the focus is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.gate.motion import local_contrast
from vedette_edge.types import FloatArray, Image

__all__ = ["Likeness", "View", "compare", "look"]

_ROWS, _COLUMNS = 5, 8  # tiles
_FINE = (320, 180)  # pixels (width, height) in which detail is measured
_COARSE = (160, 90)  # and contrast; the tiles divide both
_LEAST_TEXTURE = 0.01  # standard deviation of a tile's contrast, below which it shows nothing
_LEAST_TILES = 4
_KEPT = 0.4  # correlation
_SMALL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is looked at of a picture, or the mean of several.

    Attributes:
        contrast: (90, 160) float32, local contrast of the blurred picture.
        fine: (5, 8) float32, mean strength of detail of 1 to 2 pixels in 320, a number a tile.
        coarse: (5, 8) float32, that of 3 to 10 pixels.
    """

    contrast: FloatArray
    fine: FloatArray
    coarse: FloatArray

    @property
    def detail(self) -> float:
        """Mean strength of the local contrast."""
        return float(np.abs(self.contrast).mean())

    @property
    def telling(self) -> bool:
        """Whether it has enough texture to be a reference."""
        return int(np.count_nonzero(_texture(self.contrast) >= _LEAST_TEXTURE)) >= _LEAST_TILES

    def blended(self, other: View, share: float) -> View:
        """Return the mean of both; `share`, 0..1, is the weight of the other."""
        return View(
            self.contrast + np.float32(share) * (other.contrast - self.contrast),
            self.fine + np.float32(share) * (other.fine - self.fine),
            self.coarse + np.float32(share) * (other.coarse - self.coarse),
        )


@dataclass(frozen=True, slots=True)
class Likeness:
    """A view against its reference.

    Attributes:
        kept: share of the reference's textured tiles that are still there, 0..1.
        detail: strength of the contrast, 1 is the reference's.
        sharpness: fine against coarse detail in the kept tiles, 1 is the reference's; 1 where none is kept.
    """

    kept: float
    detail: float
    sharpness: float


def look(image: Image) -> View:
    """Return what is looked at of a picture (H, W, 3) uint8, BGR."""
    # The size is fixed, so that views compare after a camera's resolution changed.
    small = cv2.resize(image, _FINE, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    light = grey.astype(np.float32)
    blurred = cv2.resize(cv2.GaussianBlur(grey, (0, 0), 2.0), _COARSE, interpolation=cv2.INTER_AREA)
    return View(
        local_contrast(np.asarray(blurred, dtype=np.uint8)), _band(light, 0.7, 1.4), _band(light, 3.0, 8.0)
    )


def compare(view: View, reference: View) -> Likeness:
    """Compare a view with a reference that is `telling`."""
    texture = _texture(reference.contrast)
    used = texture >= max(_LEAST_TEXTURE, 0.5 * float(texture.mean()))
    kept = used & (_correlation(view.contrast, reference.contrast) > _KEPT)
    sharpness = (view.fine / (view.coarse + _SMALL)) / (reference.fine / (reference.coarse + _SMALL) + _SMALL)
    return Likeness(
        kept=float(kept.sum() / max(1, used.sum())),
        detail=view.detail / (reference.detail + _SMALL),
        sharpness=float(np.median(sharpness[kept])) if kept.any() else 1.0,
    )


def _band(light: FloatArray, inner: float, outer: float) -> FloatArray:
    """Return the mean strength, a number a tile, of detail between two widths (sigmas in pixels)."""
    band = np.abs(cv2.GaussianBlur(light, (0, 0), inner) - cv2.GaussianBlur(light, (0, 0), outer))
    return np.asarray(cv2.resize(band, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _tiles(contrast: FloatArray) -> FloatArray:
    """Return (5, 8, n) the pixels of each tile, less their mean."""
    width, height = _COARSE
    blocks = contrast.reshape(_ROWS, height // _ROWS, _COLUMNS, width // _COLUMNS)
    tiles = blocks.transpose(0, 2, 1, 3).reshape(_ROWS, _COLUMNS, -1)
    return np.asarray(tiles - tiles.mean(axis=2, keepdims=True), dtype=np.float32)


def _texture(contrast: FloatArray) -> NDArray[np.float32]:
    return np.asarray(_tiles(contrast).std(axis=2), dtype=np.float32)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return Pearson's correlation of each tile, (5, 8)."""
    a, b = _tiles(first), _tiles(second)
    norms = np.sqrt((a * a).mean(axis=2) * (b * b).mean(axis=2))
    return np.asarray((a * b).mean(axis=2) / (norms + _SMALL), dtype=np.float32)
