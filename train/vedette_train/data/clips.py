"""Datasets of clips for the trainer, drawn from kept frames (`data.frames`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import resize, to_tensor
from vedette_train.data.folder import Video
from vedette_train.data.frames import load_frames

__all__ = ["TrainClips", "ValClips", "larger"]

_CROP_MARGIN = 1.15


def larger(spec: InputSpec) -> InputSpec:
    """Return the spec of the frames that are kept: each side a little larger, room for random crops."""
    return spec.model_copy(
        update={
            "height": round(spec.height * _CROP_MARGIN),
            "width": round(spec.width * _CROP_MARGIN),
        }
    )


class TrainClips(Dataset[tuple[Tensor, int]]):
    """Random windows of each video, augmented. Items: ((3, T, H, W) float32, label)."""

    def __init__(
        self,
        videos: Sequence[Video],
        spec: InputSpec,
        cache: Path,
        augment: Callable[[Tensor], Tensor],
        *,
        clips_per_video: int = 1,
    ) -> None:
        """Draw `clips_per_video` windows of each video an epoch, from PyTorch's random state."""
        self._videos = [video for video in videos for _ in range(clips_per_video)]
        self._spec = spec
        self._cache = cache
        self._augment = augment

    def __len__(self) -> int:
        """Return the number of clips an epoch."""
        return len(self._videos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Draw a window of video `index // clips_per_video`."""
        video = self._videos[index]
        frames = load_frames(video, larger(self._spec), self._cache)
        spare = max(0, len(frames) - self._spec.frames)
        start = int(torch.randint(spare + 1, ()))
        window = torch.from_numpy(_window(frames, start, self._spec.frames))
        return self._augment(window.permute(0, 3, 1, 2)).transpose(0, 1), video.label


class ValClips(Dataset[tuple[Tensor, int]]):
    """The middle window of each video, not augmented: a quick, steady figure while training."""

    def __init__(self, videos: Sequence[Video], spec: InputSpec, cache: Path) -> None:
        """Take one window of each video."""
        self._videos = list(videos)
        self._spec = spec
        self._cache = cache

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._videos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the middle window of a video."""
        spec, video = self._spec, self._videos[index]
        frames = load_frames(video, larger(spec), self._cache)
        window = _window(frames, max(0, len(frames) - spec.frames) // 2, spec.frames)
        tensor = to_tensor([resize(frame, spec.height, spec.width) for frame in window], spec)
        return torch.from_numpy(tensor[0]), video.label


def _window(frames: NDArray[np.uint8], start: int, length: int) -> NDArray[np.uint8]:
    """Copy `length` frames from `start` on; the last one stands in for those that are missing."""
    indices = np.minimum(np.arange(start, start + length), len(frames) - 1)
    return np.ascontiguousarray(frames[indices])
