"""Frames to the network's input, exactly as the manifest's `InputSpec` says.

Two steps, because the first is done once a frame and the second once a clip:
`fit` makes a frame (H, W, 3) uint8 of the network's size and colour order; `to_tensor` stacks such
frames, and their optical flow where the network sees it, into (1, C, T, H, W) float32. `seen_region`
says which part of the picture the network saw, so that a heatmap can be laid over the right place.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.flow import FlowField, clip_flow, to_channels
from vedette_edge.manifest import InputSpec, OutputSpec
from vedette_edge.types import Box, FloatArray, Image

__all__ = ["cell_region", "fit", "frames_tensor", "resize", "seen_region", "to_tensor"]


def fit(image: Image, spec: InputSpec) -> Image:
    """Return the part of a frame that the network sees, at its size and in its colour order.

    Args:
        image: (H, W, 3) uint8, BGR.
        spec: the manifest's input; `spec.crop` chooses what is seen.

    Returns:
        (spec.height, spec.width, 3) uint8 in `spec.color` order.
    """
    if spec.crop == "letterbox":
        fitted = _letterbox(image, spec)
    else:
        fitted = resize(_visible_part(image, spec), spec.height, spec.width)
    return np.ascontiguousarray(fitted[:, :, ::-1]) if spec.color == "rgb" else fitted


def to_tensor(
    frames: Sequence[Image], spec: InputSpec, flow: Sequence[FlowField] | None = None
) -> FloatArray:
    """Return fitted frames as the network's input.

    Args:
        frames: `spec.frames` pictures from `fit`, oldest first.
        spec: the manifest's input.
        flow: the flow of each frame, (H, W, 2) pixels, from `flow.FlowStream`; by default it is computed from
            these frames alone, so that the first one's is zero. Ignored where the network sees none.

    Returns:
        (1, C, T, H, W) float32: `(v / 255 - mean) / std` per channel, or the differences of these from
        frame to frame; then the flow in -1..1; whichever `spec.streams` names.

    Raises:
        ValueError: when the number of frames or a picture's shape is not the spec's.
    """
    if len(frames) != spec.frames:
        raise ValueError(f"expected {spec.frames} frames, got {len(frames)}")
    return frames_tensor(frames, spec, flow)


def frames_tensor(
    frames: Sequence[Image],
    spec: InputSpec,
    flow: Sequence[FlowField] | None = None,
    before: Image | None = None,
) -> FloatArray:
    """Return any number n >= 1 of frames that follow each other as (1, C, n, H, W) float32; see `to_tensor`.

    Args:
        frames: pictures from `fit`, oldest first.
        spec: the manifest's input.
        flow: as for `to_tensor`.
        before: the frame before the first, which differences need; None at the beginning of a stream.

    Raises:
        ValueError: when a picture's shape is not the spec's.
    """
    stack = np.stack(frames)
    expected = (len(frames), spec.height, spec.width, 3)
    if stack.shape != expected or stack.dtype != np.uint8:
        raise ValueError(f"expected {expected} uint8, got {stack.shape} {stack.dtype}")
    parts: list[FloatArray] = []
    if "rgb" in spec.streams:
        parts.append(_scaled(stack, spec, before))
    if spec.flow:
        fields = clip_flow(frames, spec.flow, spec.color) if flow is None else np.stack(flow)
        if fields.shape != (*expected[:3], 2):
            raise ValueError(f"expected flow {(*expected[:3], 2)}, got {fields.shape}")
        parts.append(to_channels(fields, spec.flow))
    joined = np.concatenate(parts, axis=3) if len(parts) > 1 else parts[0]
    return np.ascontiguousarray(joined.transpose(3, 0, 1, 2)[np.newaxis], dtype=np.float32)


def _scaled(stack: NDArray[np.uint8], spec: InputSpec, before: Image | None) -> FloatArray:
    mean = np.asarray(spec.mean, dtype=np.float32)
    std = np.asarray(spec.std, dtype=np.float32)
    if spec.temporal == "difference":
        stack = np.concatenate([(stack[0] if before is None else before)[np.newaxis], stack])
    scaled: FloatArray = (stack.astype(np.float32) / np.float32(255.0) - mean) / std
    return scaled[1:] - scaled[:-1] if spec.temporal == "difference" else scaled


def resize(image: Image, height: int, width: int) -> Image:
    """Resize by area when shrinking, bilinearly when growing; (H, W, 3) uint8 in any channel order."""
    shrinking = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def seen_region(width: int, height: int, spec: InputSpec) -> Box:
    """Return the part of a `width` x `height` picture that the network's input covers.

    For `letterbox` the box is larger than the picture: its bars lie outside.
    """
    if spec.crop == "stretch":
        return Box(0.0, 0.0, 1.0, 1.0)
    aspect, wanted = width / height, spec.width / spec.height
    wider = aspect > wanted
    if spec.crop == "center":
        w, h = (wanted / aspect, 1.0) if wider else (1.0, aspect / wanted)
    else:
        w, h = (1.0, aspect / wanted) if wider else (wanted / aspect, 1.0)
    return Box((1 - w) / 2, (1 - h) / 2, w, h)


def cell_region(seen: Box, spec: InputSpec, outputs: OutputSpec) -> Box:
    """Return the part of the picture that a heatmap's cells divide evenly; it may reach beyond the picture.

    Args:
        seen: what the network's input covers, from `seen_region`.
        spec: the manifest's input.
        outputs: the manifest's outputs, which say where the cells lie.
    """
    if outputs.cells is None:
        return seen
    rows, columns = outputs.heatmap[2:]
    stride, first = outputs.cells.stride, outputs.cells.first
    return Box(
        seen.x + seen.w * (first - stride / 2) / spec.width,
        seen.y + seen.h * (first - stride / 2) / spec.height,
        seen.w * stride * columns / spec.width,
        seen.h * stride * rows / spec.height,
    )


def _visible_part(image: Image, spec: InputSpec) -> Image:
    height, width = image.shape[:2]
    region = seen_region(width, height, spec)
    left, top = round(region.x * width), round(region.y * height)
    return image[top : height - top, left : width - left]


def _letterbox(image: Image, spec: InputSpec) -> Image:
    factor = min(spec.height / image.shape[0], spec.width / image.shape[1])
    height = max(1, round(image.shape[0] * factor))
    width = max(1, round(image.shape[1] * factor))
    order = spec.mean if spec.color == "bgr" else spec.mean[::-1]
    canvas = np.empty((spec.height, spec.width, 3), dtype=np.uint8)
    canvas[:] = [round(255 * value) for value in order]
    top, left = (spec.height - height) // 2, (spec.width - width) // 2
    canvas[top : top + height, left : left + width] = resize(image, height, width)
    return canvas
