"""Mean and standard deviation of each channel of the network's input, over all frames of a dataset.

A channel is the last axis of kept frames (T, H, W, C). Taking another axis for it gives five numbers as well,
so a test holds the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vedette_edge.manifest import FlowSpec, InputSpec

__all__ = ["ChannelStatistics", "channel_statistics", "input_statistics"]

Sums: TypeAlias = NDArray[np.float64]

_BLOCK = 64  # frames that are summed up at a time


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """One number a channel; the mean and the (population) standard deviation."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(arrays: Iterable[NDArray[np.generic]]) -> ChannelStatistics:
    """Return the statistics over all axes but the last of all arrays together.

    Args:
        arrays: each (..., C), of any real type; read one by one.

    Raises:
        ValueError: when there is no value.
    """
    count = 0
    total: Sums | float = 0.0
    square: Sums | float = 0.0
    for array in arrays:
        for start in range(0, len(array), _BLOCK):
            values = np.asarray(array[start : start + _BLOCK], np.float64).reshape(-1, array.shape[-1])
            count += len(values)
            total = total + values.sum(axis=0)
            square = square + (values**2).sum(axis=0)
    if not count:
        raise ValueError("no values to take statistics of")
    mean = np.asarray(total / count)
    std = np.sqrt(np.maximum(square / count - mean**2, 0.0))
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def input_statistics(
    kept: Iterable[tuple[NDArray[np.uint8], NDArray[np.float16] | None]], spec: InputSpec
) -> dict[str, ChannelStatistics]:
    """Return the statistics of pictures (values in 0..1) and of flow (pixels of the input, cut, in -1..1).

    Args:
        kept: frames and flow of each video, as `frames.load_frames` and `load_flow` give them.
        spec: the network's input.
    """
    videos = list(kept)
    picture = channel_statistics(frames for frames, _ in videos)
    found = {
        "picture": ChannelStatistics(
            tuple(value / 255.0 for value in picture.mean), tuple(value / 255.0 for value in picture.std)
        )
    }
    if settings := spec.flow:
        fields = (flow for _, flow in videos if flow is not None)
        found["flow"] = channel_statistics(_as_input(flow, spec, settings) for flow in fields)
    return found


def _as_input(flow: NDArray[np.float16], spec: InputSpec, settings: FlowSpec) -> NDArray[np.float32]:
    factors = np.array([spec.width / flow.shape[2], spec.height / flow.shape[1]], dtype=np.float32)
    cut = np.clip(flow.astype(np.float32) * factors, -settings.bound, settings.bound)
    return np.asarray(cut / settings.bound, dtype=np.float32)
