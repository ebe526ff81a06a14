"""Dense optical flow as the manifest's `FlowSpec` says: once a frame, the same in training and on the device.

The flow of frame i tells how each point moved from frame i-1 to it, so a live stream needs no frame of the
future. Flow is kept in pixels; only `to_channels` cuts and scales it for the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.manifest import FlowSpec
from vedette_edge.types import FloatArray, Image

__all__ = ["FlowField", "FlowStream", "clip_flow", "to_channels"]

FlowField: TypeAlias = FloatArray  # (H, W, 2): x to the right, y downwards, in pixels

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class FlowStream:
    """Flow of a running stream: give it each fitted frame once, in order."""

    def __init__(self, spec: FlowSpec, color: str = "rgb") -> None:
        """Compute flow as `spec` says, from frames in `color` order ("rgb" or "bgr")."""
        self._spec = spec
        self._to_grey = cv2.COLOR_RGB2GRAY if color == "rgb" else cv2.COLOR_BGR2GRAY
        self._before: NDArray[np.uint8] | None = None
        self._dis = cv2.DISOpticalFlow.create(_PRESETS[spec.preset]) if spec.algorithm == "dis" else None

    def push(self, frame: Image) -> FlowField:
        """Return the flow from the frame before to this one; zero for the first.

        Args:
            frame: (H, W, 3) uint8 from `preprocess.fit`, always of the same size.
        """
        grey = np.asarray(cv2.cvtColor(frame, self._to_grey), dtype=np.uint8)
        before, self._before = self._before, grey
        if before is None:
            return np.zeros((*grey.shape, 2), dtype=np.float32)
        flow = self._between(before, grey)
        if self._spec.subtract_mean:
            flow = flow - flow.mean(axis=(0, 1), keepdims=True)
        return flow

    def reset(self) -> None:
        """Forget the last frame: the next one begins a new stream."""
        self._before = None

    def _between(self, before: NDArray[np.uint8], now: NDArray[np.uint8]) -> FlowField:
        spec = self._spec
        if self._dis:
            flow = self._dis.calc(before, now, np.zeros((*now.shape, 2), dtype=np.float32))
        else:
            flow = cv2.calcOpticalFlowFarneback(
                before,
                now,
                np.zeros((*now.shape, 2), dtype=np.float32),
                spec.pyr_scale,
                spec.levels,
                spec.winsize,
                spec.iterations,
                spec.poly_n,
                spec.poly_sigma,
                cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
            )
        return np.asarray(flow, dtype=np.float32)


def clip_flow(frames: Sequence[Image], spec: FlowSpec, color: str = "rgb") -> FloatArray:
    """Return the flow of each frame of a clip or video: (T, H, W, 2) float32 pixels, the first zero."""
    stream = FlowStream(spec, color)
    return np.stack([stream.push(frame) for frame in frames])


def to_channels(flow: FloatArray, spec: FlowSpec) -> FloatArray:
    """Return flow as the network sees it: (..., C) float32 in -1..1.

    Args:
        flow: (..., 2) pixels.
        spec: each component is cut to +-`bound` and divided by it; with `magnitude` the length l follows, as
            `2 min(1, l / bound) - 1`.
    """
    bound, flow = np.float32(spec.bound), np.asarray(flow, dtype=np.float32)
    components = np.clip(flow, -bound, bound) / bound
    if not spec.magnitude:
        return components
    length = np.linalg.norm(flow, axis=-1, keepdims=True) / bound
    return np.concatenate(
        [components, 2 * np.minimum(length, np.float32(1.0)) - 1], axis=-1, dtype=np.float32
    )
