"""Which clips int8 is calibrated with: the same where it is simulated and where a run is converted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import numpy as np

from vedette_edge.types import FloatArray
from vedette_train.runs import Sample

__all__ = ["VIDEOS", "evenly", "middle_and_ends", "take_turns"]

VIDEOS = 24
_CLIPS = 32


def take_turns(samples: Iterable[Sample], count: int = VIDEOS) -> list[Sample]:
    """Return the first `count` samples when the labels take turns."""
    by_label: dict[str, list[Sample]] = {}
    for sample in samples:
        by_label.setdefault(sample.label, []).append(sample)
    turns = zip_longest(*(by_label[label] for label in sorted(by_label)))
    return [sample for turn in turns for sample in turn if sample is not None][:count]


def middle_and_ends(windows: FloatArray) -> list[FloatArray]:
    """Return a video's first, middle and last window, each once: (N, C, T, H, W) to some (1, C, T, H, W)."""
    last = len(windows) - 1
    return [windows[index : index + 1] for index in sorted({0, len(windows) // 2, last})]


def evenly(clips: Sequence[FloatArray]) -> list[FloatArray]:
    """Return at most 32 of the clips, evenly spread over all."""
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), _CLIPS)).astype(int)
    return [clips[index] for index in chosen]
