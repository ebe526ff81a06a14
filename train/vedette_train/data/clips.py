"""Datasets of clips for the trainer, drawn from kept frames and flow (`data.frames`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vedette_edge.flow import FlowField
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import resize, to_tensor
from vedette_train.data.folder import Video
from vedette_train.data.frames import Shelf

__all__ = ["Augmentation", "TrainClips", "ValClips", "larger"]

_CROP_MARGIN = 1.15

Augmentation: TypeAlias = Callable[[Tensor | None, Tensor | None], Tensor]
Value = TypeVar("Value", bound=np.generic)


def larger(spec: InputSpec) -> InputSpec:
    """Return the spec of the frames that are kept: each side a little larger, room for random crops."""
    return spec.model_copy(
        update={
            "height": round(spec.height * _CROP_MARGIN),
            "width": round(spec.width * _CROP_MARGIN),
        }
    )


class TrainClips(Dataset[tuple[Tensor, int]]):
    """Random windows of each video, augmented. Items: ((C, T, H, W) float32, label)."""

    def __init__(
        self,
        videos: Sequence[Video],
        spec: InputSpec,
        cache: Path,
        augment: Augmentation,
        *,
        clips_per_video: int = 1,
        pair: bool = False,
    ) -> None:
        """Draw `clips_per_video` windows of each video an epoch, from PyTorch's random state.

        Args:
            videos: prepared with `larger(spec)`.
            spec: the network's input.
            cache: where their frames are kept.
            augment: see `augment.ClipAugmentation`.
            clips_per_video: windows of each video.
            pair: make each item two clips (2, C, T, H, W), the second one frame later, changed alike.
        """
        self._videos = [video for video in videos for _ in range(clips_per_video)]
        self._spec = spec
        self._shelf = Shelf(larger(spec), cache)
        self._augment = augment
        self._pair = pair

    def __len__(self) -> int:
        """Return the number of clips an epoch."""
        return len(self._videos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Draw a window of video `index // clips_per_video`."""
        spec, video = self._spec, self._videos[index]
        length = spec.frames + int(self._pair)
        frames, flow = self._shelf.load(video)
        start = int(torch.randint(max(0, len(frames) - length) + 1, ()))
        pictures = _window(frames, start, length) if "rgb" in spec.streams else None
        # One more: the clip may be run backwards.
        motion = None if flow is None else _moving_window(flow, start, length + 1)
        clip = self._augment(_channels_second(pictures), _channels_second(motion)).transpose(0, 1)
        return (self._shifted(clip) if self._pair else clip), video.label

    def _shifted(self, clip: Tensor) -> Tensor:
        first, second = clip[:, :-1], clip[:, 1:]
        if self._spec.temporal == "difference" and "rgb" in self._spec.streams:
            second = second.clone()
            second[:3, 0] = 0.0
        return torch.stack([first, second])


class ValClips(Dataset[tuple[Tensor, int]]):
    """The middle window of each video, not augmented: a quick, steady figure while training."""

    def __init__(self, videos: Sequence[Video], spec: InputSpec, cache: Path) -> None:
        """Take one window of each video."""
        self._videos = list(videos)
        self._spec = spec
        self._shelf = Shelf(larger(spec), cache)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._videos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the middle window of a video: ((C, T, H, W) float32, label)."""
        spec, video = self._spec, self._videos[index]
        frames, flow = self._shelf.load(video)
        start = max(0, len(frames) - spec.frames) // 2
        window = [resize(frame, spec.height, spec.width) for frame in _window(frames, start, spec.frames)]
        fields = None
        if flow is not None:
            fields = [_resize_flow(field, spec) for field in _moving_window(flow, start, spec.frames)]
        return torch.from_numpy(to_tensor(window, spec, fields)[0]), video.label


def _window(frames: NDArray[Value], start: int, length: int) -> NDArray[Value]:
    """Copy `length` frames from `start` on; the last one stands in for those that are missing."""
    found = np.array(frames[start : start + length])
    missing = length - len(found)
    return np.concatenate([found, np.repeat(found[-1:], missing, axis=0)]) if missing else found


def _moving_window(flow: NDArray[np.float16], start: int, length: int) -> NDArray[np.float16]:
    """Copy the flow of `length` frames from `start` on; zero for those that are missing."""
    found = np.array(flow[start : start + length])
    missing = length - len(found)
    return np.concatenate([found, np.zeros((missing, *found.shape[1:]), found.dtype)]) if missing else found


def _resize_flow(field: NDArray[np.float16], spec: InputSpec) -> FlowField:
    """Resize a field to the network's input, and its arrows with it; (H, W, 2) float32."""
    height, width = field.shape[:2]
    size = (spec.width, spec.height)
    small = cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    factors = np.array([spec.width / width, spec.height / height], dtype=np.float32)
    return np.asarray(small, dtype=np.float32) * factors


def _channels_second(clip: NDArray[np.generic] | None) -> Tensor | None:
    return None if clip is None else torch.from_numpy(clip).permute(0, 3, 1, 2)
