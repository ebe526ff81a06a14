"""The values that cross rooms: frames, boxes, predictions. Frozen, validated at birth, shapes stated.

Images are NumPy arrays in OpenCV's convention, (H, W, 3) uint8 BGR, unless a name says otherwise.
Times are seconds as float. Boxes and points are fractions of the picture, 0..1, y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "FloatArray", "Frame", "Image", "Outputs", "joined"]

Image: TypeAlias = NDArray[np.uint8]
FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stream.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        time: seconds since the stream began, as the source states it (not the wall clock).
    """

    image: Image
    time: float

    def __post_init__(self) -> None:
        """Refuse what is not a colour picture."""
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"a frame is (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions of a picture: left, top, width, height in 0..1, y downwards."""

    x: float
    y: float
    w: float
    h: float

    def contains(self, x: float, y: float) -> bool:
        """Tell whether the point (x, y), fractions of the picture, lies in the box."""
        return self.x <= x <= self.x + self.w and self.y <= y <= self.y + self.h

    def grown(self, margin: float) -> Box:
        """Return the box with `margin` (a fraction of the picture) added on each side, cut to 0..1."""
        left, top = max(0.0, self.x - margin), max(0.0, self.y - margin)
        right, bottom = min(1.0, self.x + self.w + margin), min(1.0, self.y + self.h + margin)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a network says of a batch of clips.

    Attributes:
        logits: (N, K) float32, one row a clip, before softmax.
        heatmap: (N, K, T, H, W) float32, the evidence for each class at each place of the last
            convolution's grid: `sum_c w[k, c] * A[c, t, h, w]`. The logit is its mean plus a bias.
    """

    logits: FloatArray
    heatmap: FloatArray

    def __post_init__(self) -> None:
        """Refuse outputs that do not belong together."""
        if self.logits.ndim != 2 or self.heatmap.ndim != 5:
            raise ValueError(
                "expected logits (N, K) and heatmap (N, K, T, H, W), "
                f"got {self.logits.shape} and {self.heatmap.shape}"
            )
        if self.logits.shape != self.heatmap.shape[:2]:
            raise ValueError(
                f"logits {self.logits.shape} and heatmap {self.heatmap.shape} disagree on N or K"
            )

    def last(self) -> Outputs:
        """Return the last row alone."""
        return Outputs(self.logits[-1:], self.heatmap[-1:])


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of all parts, one after the other."""
    return Outputs(
        np.concatenate([part.logits for part in parts]), np.concatenate([part.heatmap for part in parts])
    )
