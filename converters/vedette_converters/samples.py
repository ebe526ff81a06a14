"""Real clips of the videos that a run reports on, for golden samples, parity and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.clips import clip_tensor
from vedette_edge.types import FloatArray
from vedette_train.evaluate import dataset_root, video_clips
from vedette_train.runs import Run, Sample

__all__ = ["VideoClips", "reported_clips"]


@dataclass(frozen=True, slots=True)
class VideoClips:
    """All windows of one video.

    Attributes:
        sample: which video, with its true label.
        frames: (N, T, H, W, 3) uint8, fitted to the network's input.
        tensor: (N, C, T, H, W) float32, the same as the network's input.
    """

    sample: Sample
    frames: NDArray[np.uint8]
    tensor: FloatArray


def reported_clips(
    run: Run, data: Path | None, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[VideoClips]:
    """Yield the windows of each video of the run's reported part, the ones that the agent would judge.

    Raises:
        DataError: when the dataset or one of the videos is not there.
    """
    root = dataset_root(run, data)
    spec = run.recipe.data.input
    for done, sample in enumerate(run.info.reported, start=1):
        clips = list(video_clips(root / sample.name, spec, run.recipe.decision.hop))
        frames = np.stack([np.stack([item.fitted for item in clip.items]) for clip in clips])
        yield VideoClips(sample, frames, np.concatenate([clip_tensor(clip, spec) for clip in clips]))
        if on_progress:
            on_progress(done, len(run.info.reported))
