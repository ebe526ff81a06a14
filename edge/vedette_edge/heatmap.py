"""Where the network looked: from the exported class map to a picture that an operator understands.

The network's second output is `sum_c w[k,c] * A[c]` (manifest, `OutputSpec.heatmap`). Its ReLU is
HiResCAM [Draelos and Carin, 2020, arXiv 2011.08891] of class k up to a constant, with no gradients,
so the device needs no training framework. All functions are pure.
"""

from __future__ import annotations

import cv2
import numpy as np

from vedette_edge.types import Box, FloatArray, Image

__all__ = ["class_map", "hot_box", "lay_over", "overlay", "peak"]

_DRAWN_SIDE = 160  # pixels


def class_map(heatmap: FloatArray, label: int) -> FloatArray:
    """Return the evidence for one class over the picture, averaged over time, scaled to 0..1.

    Args:
        heatmap: (K, T, H, W) float32, one clip of `Outputs.heatmap`.
        label: index of the class.

    Returns:
        (H, W) float32, 0 where nothing speaks for the class, 1 at the strongest place; all zero
        where no place does.
    """
    evidence: FloatArray = np.maximum(heatmap[label].mean(axis=0), 0.0, dtype=np.float32)
    top = float(evidence.max())
    return evidence / np.float32(top) if top > 0 else evidence


def peak(evidence: FloatArray, region: Box) -> tuple[float, float]:
    """Return the strongest place as (x, y), fractions of the picture.

    It is the centre of mass of the strongest cell and its neighbours, which is finer than the grid.

    Args:
        evidence: (H, W) float32 from `class_map`.
        region: what the cells divide evenly, from `preprocess.cell_region`.
    """
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    top, left = max(0, int(row) - 1), max(0, int(column) - 1)
    near = evidence[top : int(row) + 2, left : int(column) + 2]
    # Squared, so that the strongest cell keeps most of the say; never all zero.
    weight = near**2 + np.float32(1e-9)
    rows, columns = np.indices(near.shape)
    centre_row = top + float((rows * weight).sum() / weight.sum())
    centre_column = left + float((columns * weight).sum() / weight.sum())
    x = region.x + region.w * (centre_column + 0.5) / evidence.shape[1]
    y = region.y + region.h * (centre_row + 0.5) / evidence.shape[0]
    return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))


def hot_box(evidence: FloatArray, region: Box, threshold: float = 0.5, resolution: int = 64) -> Box:
    """Return the box around the part of the map at or above `threshold`, connected to its peak.

    Args:
        evidence: (H, W) float32 from `class_map`.
        region: what the cells divide evenly.
        threshold: fraction of the peak, 0..1.
        resolution: the map is enlarged to this many pixels a side first, so the box is finer than the grid.
    """
    fine = cv2.resize(evidence, (resolution, resolution), interpolation=cv2.INTER_CUBIC)
    _, parts = cv2.connectedComponents((fine >= threshold * fine.max()).astype(np.uint8))
    hottest = np.unravel_index(int(fine.argmax()), fine.shape)
    rows, columns = np.nonzero(parts == parts[hottest])
    left, right = columns.min() / resolution, (columns.max() + 1) / resolution
    top, bottom = rows.min() / resolution, (rows.max() + 1) / resolution
    box = Box(
        region.x + region.w * left,
        region.y + region.h * top,
        region.w * (right - left),
        region.h * (bottom - top),
    )
    return box.grown(0.0)


def overlay(
    image: Image, evidence: FloatArray, region: Box, *, seen: Box | None = None, alpha: float = 0.55
) -> Image:
    """Return the picture with the evidence laid over it; places without evidence keep their colours.

    Args:
        image: (H, W, 3) uint8, BGR.
        evidence: (h, w) float32 from `class_map`.
        region: what the cells divide evenly, from `preprocess.cell_region`.
        seen: what the network saw, from `preprocess.seen_region`; by default the same. The rest of the
            picture stays as it is.
        alpha: opacity at the strongest place, 0..1.
    """
    height, width = image.shape[:2]
    weight = _spread(evidence, region, width, height) * _covered(seen or region, width, height)
    colours = cv2.applyColorMap((255 * weight).astype(np.uint8), cv2.COLORMAP_TURBO)
    opacity = np.float32(alpha) * np.sqrt(weight)
    return np.asarray(cv2.blendLinear(image, colours, 1.0 - opacity, opacity), dtype=np.uint8)


def lay_over(
    evidence: FloatArray, region: Box, width: int, height: int
) -> tuple[FloatArray, tuple[float, float]]:
    """Resample a map so that each of its cells lies over the pixels that it speaks of.

    Args:
        evidence: (h, w) float32.
        region: what the cells divide evenly, from `preprocess.cell_region`; it may reach beyond the picture.
        width: of the result, pixels.
        height: of the result, pixels.

    Returns:
        (height, width) float32, interpolated between the cells' centres and held beyond the outermost, and
        the size of a cell in pixels, across and down.
    """
    rows, columns = evidence.shape
    step_x, step_y = columns / (region.w * width), rows / (region.h * height)
    affine = np.array(
        [
            [step_x, 0.0, -0.5 + (0.5 - region.x * width) * step_x],
            [0.0, step_y, -0.5 + (0.5 - region.y * height) * step_y],
        ]
    )
    drawn = cv2.warpAffine(
        evidence,
        affine,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(drawn, dtype=np.float32), (1 / step_x, 1 / step_y)


def _spread(evidence: FloatArray, region: Box, width: int, height: int) -> FloatArray:
    """Resample the map so that each of its cells lies over the pixels that it speaks of; (H, W) in 0..1.

    It is drawn small and enlarged, because a map of a few cells has no detail to lose. The blur takes away
    the creases of linear interpolation, which the eye would take for a finding.
    """
    shrink = min(1.0, _DRAWN_SIDE / max(width, height))
    drawn_width, drawn_height = max(1, round(shrink * width)), max(1, round(shrink * height))
    drawn, cell = lay_over(evidence, region, drawn_width, drawn_height)
    smooth = cv2.GaussianBlur(drawn, (0, 0), 0.3 * cell[0], sigmaY=0.3 * cell[1])
    spread = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(spread, 0.0, 1.0), dtype=np.float32)


def _covered(region: Box, width: int, height: int) -> FloatArray:
    """Return 1 for the pixels in the region, 0 elsewhere; (H, W) float32."""
    covered = np.zeros((height, width), dtype=np.float32)
    left, top = max(0, round(region.x * width)), max(0, round(region.y * height))
    right, bottom = round((region.x + region.w) * width), round((region.y + region.h) * height)
    covered[top:bottom, left:right] = 1.0
    return covered
