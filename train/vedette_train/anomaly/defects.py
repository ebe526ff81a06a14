"""Draws defects onto good pictures, so that a network can learn what "not like this" looks like.

A defect is a shape (spot, line, region, border) and a filling (shade, transplant from another good picture,
blur, noise), after CutPaste [Li et al. 2021], DRAEM [Zavrtanik et al. 2021] and NSA [Schlueter et al. 2022].
Nothing here knows a product: sizes are shares of the picture, strengths are grey values. Every function is a
pure function of its arguments and of the generator's state.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.types import FloatArray, Image

__all__ = ["add_defect", "change_light", "change_size", "smooth_noise"]

Mask = NDArray[np.bool_]

_LEAST_CHANGE = 5.0  # grey values, mean over the defect; less is not to be seen
_ATTEMPTS = 8


def add_defect(image: Image, other: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Return a copy of a picture with one defect, and where it is.

    Args:
        image: (H, W, 3) uint8.
        other: (H, W, 3) uint8, a good picture to transplant from; may be the same one.
        rng: every choice is drawn from it.

    Returns:
        (H, W, 3) uint8 and (H, W) bool; the mask is empty where no attempt made a visible change.
    """
    height, width = image.shape[:2]
    for _ in range(_ATTEMPTS):
        shape = _SHAPES[rng.integers(len(_SHAPES))](height, width, rng)
        if not shape.any():
            continue
        filling = _FILLINGS[rng.integers(len(_FILLINGS))](image, other, rng)
        alpha = _feathered(shape, rng) * np.float32(rng.uniform(0.6, 1.0))
        blend = image + (filling - image) * alpha[:, :, np.newaxis]
        changed = np.clip(blend, 0, 255).astype(np.uint8)
        if np.abs(changed[shape].astype(np.float32) - image[shape]).mean() >= _LEAST_CHANGE:
            return changed, shape
    return image.copy(), np.zeros((height, width), np.bool_)


def change_light(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Return a picture under another light: gain, gamma and a slow gradient over the picture.

    Args:
        image: (H, W, 3) uint8.
        strength: 0 leaves it as it is; 1 varies the gain by a factor of up to 1.6 either way.
        rng: every choice is drawn from it.
    """
    height, width = image.shape[:2]
    gain = 1.6 ** (strength * rng.uniform(-1, 1))
    gamma = 1.3 ** (strength * rng.uniform(-1, 1))
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (
        np.cos(angle) * np.linspace(-1, 1, width)[np.newaxis]
        + np.sin(angle) * np.linspace(-1, 1, height)[:, np.newaxis]
    )
    light = gain * (1 + 0.2 * strength * rng.uniform(0, 1) * ramp)
    lit = 255 * (image / np.float32(255)) ** np.float32(gamma) * light[:, :, np.newaxis]
    return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)


def change_size(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Return a picture stretched about a point, height and width apart; what is missing is mirrored.

    Args:
        image: (H, W, 3) uint8.
        strength: each side is scaled by exp of up to this, either way.
        rng: every choice is drawn from it.
    """
    height, width = image.shape[:2]
    scale_x, scale_y = np.exp(rng.uniform(-strength, strength, 2))
    x, y = rng.uniform(0.3, 0.7, 2) * (width, height)
    affine = np.array([[scale_x, 0, x * (1 - scale_x)], [0, scale_y, y * (1 - scale_y)]])
    moved = cv2.warpAffine(image, affine, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def smooth_noise(height: int, width: int, cells: float, rng: np.random.Generator) -> FloatArray:
    """Return a random field, (H, W) float32 of mean 0 and deviation 1, with about `cells` bumps a side."""
    rows, columns = max(2, round(cells)), max(2, round(cells * width / height))
    coarse = rng.standard_normal((rows + 2, columns + 2)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), dtype=np.float32)


def _spot(height: int, width: int, rng: np.random.Generator) -> Mask:
    side = min(height, width)
    canvas = np.zeros((height, width), np.uint8)
    axes = np.maximum(2, side * np.exp(rng.uniform(np.log(0.01), np.log(0.12), 2))).astype(int)
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    cv2.ellipse(canvas, centre, (int(axes[0]), int(axes[1])), rng.uniform(0, 180), 0, 360, 1, -1)
    frayed = canvas.astype(bool) & (smooth_noise(height, width, rng.uniform(8, 32), rng) > -1.0)
    return np.asarray(frayed, dtype=np.bool_)


def _line(height: int, width: int, rng: np.random.Generator) -> Mask:
    side = min(height, width)
    steps = 24
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0, 0.35), steps))
    stride = side * rng.uniform(0.1, 0.7) / steps
    start = rng.uniform((0, 0), (width, height))
    points = start + stride * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    canvas = np.zeros((height, width), np.uint8)
    thickness = max(1, round(side * float(np.exp(rng.uniform(np.log(0.004), np.log(0.02))))))
    cv2.polylines(canvas, [points.round().astype(np.int32)], False, 1, thickness)
    return canvas.astype(np.bool_)


def _region(height: int, width: int, rng: np.random.Generator) -> Mask:
    field = smooth_noise(height, width, rng.uniform(2, 8), rng)
    return np.asarray(field > np.quantile(field, 1 - rng.uniform(0.02, 0.25)), dtype=np.bool_)


def _border(height: int, width: int, rng: np.random.Generator) -> Mask:
    depth = rng.uniform(0.03, 0.3)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, np.newaxis]
    columns = np.linspace(0, 1, width, dtype=np.float32)[np.newaxis]
    distance = (rows + 0 * columns, 1 - rows + 0 * columns, columns + 0 * rows, 1 - columns + 0 * rows)
    wobble = rng.uniform(0, 0.4) * depth * smooth_noise(height, width, rng.uniform(2, 10), rng)
    return np.asarray(distance[rng.integers(4)] + wobble < depth, dtype=np.bool_)


def _shade(image: Image, other: Image, rng: np.random.Generator) -> FloatArray:
    del other
    factor = 1.0 + rng.uniform(0.12, 0.6) * rng.choice((-1.0, 1.0))
    return np.asarray(image * np.float32(factor), dtype=np.float32)


def _transplant(image: Image, other: Image, rng: np.random.Generator) -> FloatArray:
    height, width = image.shape[:2]
    moved = np.roll(other, (int(rng.integers(height)), int(rng.integers(width))), axis=(0, 1))
    if rng.random() < 0.5:
        turned = cv2.resize(np.rot90(moved), (width, height), interpolation=cv2.INTER_AREA)
        moved = np.asarray(turned, dtype=np.uint8)
    return np.asarray(moved * np.float32(rng.uniform(0.7, 1.4)), dtype=np.float32)


def _blur(image: Image, other: Image, rng: np.random.Generator) -> FloatArray:
    del other
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 6))
    return np.asarray(soft * np.float32(rng.uniform(0.8, 1.2)), dtype=np.float32)


def _noise(image: Image, other: Image, rng: np.random.Generator) -> FloatArray:
    del other
    height, width = image.shape[:2]
    field = smooth_noise(height, width, rng.uniform(8, 64), rng)[:, :, np.newaxis]
    return np.asarray(image + np.float32(rng.uniform(15, 45)) * field, dtype=np.float32)


def _feathered(shape: Mask, rng: np.random.Generator) -> FloatArray:
    soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), rng.uniform(0.4, 2.0))
    return np.asarray(soft, dtype=np.float32)


_SHAPES: tuple[Callable[[int, int, np.random.Generator], Mask], ...] = (_spot, _line, _region, _border)
_FILLINGS: tuple[Callable[[Image, Image, np.random.Generator], FloatArray], ...] = (
    _shade,
    _transplant,
    _blur,
    _noise,
)
