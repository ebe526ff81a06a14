"""Draws a small dataset of brushed surfaces with and without defects, so that everything can be tried.

The defects of the test pictures (dent, scratch, stain) are drawn here, not by `defects`, so that a detector
that learns from drawn defects does not meet the same ones again.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import UsageError
from vedette_edge.files import write_atomically
from vedette_edge.types import Image
from vedette_train.anomaly.defects import smooth_noise
from vedette_train.anomaly.pictures import encode_png

__all__ = ["KINDS", "draw_surface", "spoil", "write_textures"]

KINDS = ("dent", "scratch", "stain")


def draw_surface(side: int, rng: np.random.Generator) -> Image:
    """Return a brushed metal surface under uneven light, (side, side, 3) uint8 BGR."""
    grain = cv2.GaussianBlur(
        rng.standard_normal((side, side)).astype(np.float32), (0, 0), 0.6, sigmaY=side / 12
    )
    grain = grain / (grain.std() + 1e-6)
    light = 125 + 12 * rng.uniform(-1, 1) + 8 * smooth_noise(side, side, 2, rng)
    grey = light + 9 * grain + 2 * rng.standard_normal((side, side))
    tint = np.array([1.02, 1.0, 0.97], np.float32)
    return np.asarray(np.clip(grey[:, :, np.newaxis] * tint, 0, 255), dtype=np.uint8)


def spoil(image: Image, kind: str, rng: np.random.Generator) -> tuple[Image, np.ndarray]:
    """Return a surface with a defect, and where it is.

    Args:
        image: (H, W, 3) uint8.
        kind: one of `KINDS`.
        rng: every choice is drawn from it.

    Returns:
        (H, W, 3) uint8 and (H, W) bool.
    """
    side = min(image.shape[:2])
    canvas = np.zeros(image.shape[:2], np.uint8)
    centre = rng.integers(side // 5, side - side // 5, 2)
    point = (int(centre[0]), int(centre[1]))
    if kind == "dent":
        cv2.circle(canvas, point, max(3, round(side * rng.uniform(0.03, 0.06))), 1, -1)
        change = -60.0
    elif kind == "scratch":
        turn, length = rng.uniform(-0.5, 0.5), side * rng.uniform(0.2, 0.4)
        end = (round(point[0] + length * np.cos(turn)), round(point[1] + length * np.sin(turn)))
        cv2.line(canvas, point, end, 1, max(2, round(side / 80)))
        change = 70.0
    else:
        axes = (round(side * rng.uniform(0.08, 0.14)), round(side * rng.uniform(0.05, 0.1)))
        cv2.ellipse(canvas, point, axes, rng.uniform(0, 180), 0, 360, 1, -1)
        change = 35.0
    soft = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), max(0.6, side / 250))[:, :, np.newaxis]
    return np.clip(image + change * soft, 0, 255).astype(np.uint8), canvas.astype(np.bool_)


def write_textures(
    out: Path, *, train: int = 60, good: int = 20, bad: int = 30, side: int = 160, seed: int = 0
) -> None:
    """Write a dataset: train/good, test/good, test/bad/<kind> and ground_truth/bad/<kind>.

    Args:
        out: a new or empty folder.
        train: good pictures to train on.
        good: good pictures to test on.
        bad: bad pictures to test on, the kinds in turn.
        side: height and width in pixels.
        seed: of everything drawn.

    Raises:
        UsageError: when `out` is a file or not empty.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} is not a new or empty folder; choose another --out")
    rng = np.random.default_rng(seed)
    for part, count in (("train/good", train), ("test/good", good)):
        for index in range(count):
            _write(out / part / f"{index:03d}.png", draw_surface(side, rng))
    for index in range(bad):
        kind = KINDS[index % len(KINDS)]
        image, mask = spoil(draw_surface(side, rng), kind, rng)
        _write(out / "test" / "bad" / kind / f"{index:03d}.png", image)
        marked = np.repeat(255 * mask[:, :, np.newaxis].astype(np.uint8), 3, axis=2)
        _write(out / "ground_truth" / "bad" / kind / f"{index:03d}_mask.png", marked)


def _write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode_png(image))
