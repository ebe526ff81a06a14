"""The camera: it shakes, it is lit well or badly, it is a little out of focus, and it has a noisy sensor.

A `Camera` turns painted pictures into frames. What it does to frame number n depends on its own draw and on n
alone.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_train.data.synthetic.backdrop import Image
from vedette_train.data.synthetic.scene import MARGIN_SHARE

Array = NDArray[np.float64]

_FULL = 1.25  # the brightness that 255 stands for in the stored light map
_POOL = 24  # pixels by which the stored noise is larger than a frame: each frame cuts another piece


@dataclass(frozen=True)
class Camera:
    """How pictures become frames.

    Attributes:
        size: Width and height of a frame, pixels.
        moves: (frames, 2, 3) float64, affine maps from picture to frame, pixels.
        gains: (frames,) float64, exposure and flicker, 1 leaves the light as it is.
        light: (H, W, 3) uint8, vignette and colour temperature.
        noise: (H + pool, W + pool, 3) int8, sensor noise of which each frame takes a piece.
        pieces: (frames, 2) int64, row and column where the piece begins.
        blur: Standard deviation of the blur, pixels; 0 is sharp.
    """

    size: tuple[int, int]
    moves: Array
    gains: Array
    light: Image
    noise: NDArray[np.int8]
    pieces: NDArray[np.int64]
    blur: float

    def frame(self, picture: Image, index: int) -> Image:
        """Photograph a picture.

        Args:
            picture: (H + 2 margin, W + 2 margin, 3) uint8, BGR.
            index: Number of the frame.

        Returns:
            (H, W, 3) uint8, BGR.
        """
        seen = cv2.warpAffine(
            picture, self.moves[index], self.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if self.blur > 0:
            seen = cv2.GaussianBlur(seen, (3, 3), self.blur)
        lit = cv2.multiply(seen, self.light, scale=_FULL * self.gains[index] / 255)
        row, column = self.pieces[index]
        piece = self.noise[row : row + self.size[1], column : column + self.size[0]]
        return np.asarray(cv2.add(lit, piece, dtype=cv2.CV_8U), np.uint8)

    def box(self, box: tuple[float, float, float, float], index: int) -> tuple[float, float, float, float]:
        """Where a box of the picture lands in a frame.

        Args:
            box: Left, top, right, bottom, pixels of the picture.
            index: Number of the frame.

        Returns:
            x, y, width, height as shares of the frame, 0 to 1, y down.
        """
        x0, y0, x1, y1 = box
        corners = np.array([(x0, y0, 1), (x1, y0, 1), (x0, y1, 1), (x1, y1, 1)]) @ self.moves[index].T
        low, high = np.clip([corners.min(axis=0), corners.max(axis=0)], 0, self.size) / self.size
        return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def random_camera(
    rng: np.random.Generator, size: tuple[int, int], margin: int, frames: int, fps: float
) -> Camera:
    """Draw a camera for one take.

    Args:
        rng: The only source of chance.
        size: Width and height of a frame, pixels.
        margin: Pixels that pictures have around the frame.
        frames: Length of the take.
        fps: Frames per second; shaking and flicker are drawn in seconds.

    Returns:
        The camera.
    """
    width, height = size
    seconds = np.arange(frames) / fps
    return Camera(
        size=size,
        moves=_shake(rng, size, margin, seconds),
        gains=_exposure(rng, seconds),
        light=_light(rng, width, height),
        noise=_noise(rng, width, height),
        pieces=rng.integers(0, _POOL, (frames, 2)),
        blur=float(rng.uniform(0.4, 0.9)) if rng.uniform() < 0.5 else 0.0,
    )


def _wander(rng: np.random.Generator, seconds: Array, channels: int) -> Array:
    """Smooth chance motion, (channels, frames), -1 to 1: waves of unrelated pace, the slow ones stronger."""
    pace = rng.uniform(0.2, 4.0, (channels, 5, 1))
    waves = np.sin(2 * np.pi * pace * seconds + rng.uniform(0, 2 * np.pi, pace.shape))
    strength = 1 / (0.5 + pace)
    return np.asarray((waves * strength).sum(axis=1) / strength.sum(axis=1))


def _shake(rng: np.random.Generator, size: tuple[int, int], margin: int, seconds: Array) -> Array:
    width, height = size
    hand = rng.choice([0.0, 0.15, 0.4, 1.0])
    across, down, roll = _wander(rng, seconds, 3) * hand
    # Half the margin for shifts leaves the other half for the corners, which the roll moves farthest.
    angle = roll * 0.3 * MARGIN_SHARE * height / math.hypot(width, height)
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = margin + width / 2, margin + height / 2
    left = width / 2 - cosine * x - sine * y + 0.5 * MARGIN_SHARE * height * across
    top = height / 2 + sine * x - cosine * y + 0.5 * MARGIN_SHARE * height * down
    return np.stack([np.stack([cosine, sine, left], axis=1), np.stack([-sine, cosine, top], axis=1)], axis=1)


def _exposure(rng: np.random.Generator, seconds: Array) -> Array:
    steady, drift, flicker = rng.uniform(0.82, 1.3), rng.uniform(0, 0.1), rng.choice([0.0, 0.0, 0.015, 0.04])
    slow = np.sin(2 * np.pi * rng.uniform(0.05, 0.4) * seconds + rng.uniform(0, 6))
    return np.asarray(steady * (1 + drift * slow + flicker * rng.uniform(-1, 1, seconds.shape)))


def _light(rng: np.random.Generator, width: int, height: int) -> Image:
    warmth, dark = rng.uniform(-0.1, 0.1), rng.uniform(0.0, 0.4)
    x = np.linspace(-1, 1, width)[None, :] - rng.uniform(-0.4, 0.4)
    y = np.linspace(-1, 1, height)[:, None] - rng.uniform(-0.4, 0.4)
    vignette = 1 - dark * np.clip((x * x + y * y) / 2.4, 0, 1)
    colour = np.array([1 - warmth, 1.0, 1 + warmth])
    return np.asarray(np.clip(vignette[..., None] * colour * 255 / _FULL, 0, 255), np.uint8)


def _noise(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int8]:
    shape = (height + _POOL, width + _POOL)
    grey = rng.standard_normal((*shape, 1), np.float32) * rng.uniform(1.0, 6.0)
    colour = rng.standard_normal((*shape, 3), np.float32) * rng.uniform(0.5, 2.5)
    return np.clip(grey + colour, -127, 127).astype(np.int8)
