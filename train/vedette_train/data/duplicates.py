"""Finds videos that are nearly the same picture, for datasets that state no groups.

Each video is reduced to difference hashes (64 bits each) of a few of its sampled frames. Videos whose hashes
are close, frame by frame, are put into one group, so that no copy of a training video is validated on.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["difference_hash", "group_near_duplicates"]

_SIDE = 8
MAX_DISTANCE = 6  # of 64 bits, averaged over the compared frames


def difference_hash(frames: NDArray[np.uint8], count: int = 4) -> NDArray[np.bool_]:
    """Return whether each of 8 x 8 cells is brighter than its right neighbour, for `count` frames.

    Args:
        frames: (T, H, W, 3) uint8.
        count: frames taken, evenly spread.

    Returns:
        (count, 64) bool.
    """
    chosen = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    grey = chosen.mean(axis=3).astype(np.float32)
    small = np.stack([cv2.resize(g, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA) for g in grey])
    return np.asarray(small[:, :, :-1] > small[:, :, 1:]).reshape(count, -1)


def group_near_duplicates(hashes: Sequence[NDArray[np.bool_]]) -> list[int]:
    """Return a group number for each video; near-duplicates, also through a third video, share one.

    Args:
        hashes: one (count, 64) bool array a video.
    """
    groups = list(range(len(hashes)))
    if not hashes:
        return groups
    stacked = np.stack(hashes)
    for index in range(1, len(hashes)):
        distance = (stacked[:index] != stacked[index]).sum(axis=2).mean(axis=1)
        for twin in np.flatnonzero(distance <= MAX_DISTANCE):
            old, new = groups[int(twin)], groups[index]
            groups = [min(old, new) if group in (old, new) else group for group in groups]
    return groups
