"""The published data path of the dual-stream violence network, defects included: for comparison only.

What it does that the path of `data.augment` does not, and why that harms:

- The flow of each frame is stretched to 0..255 on its own, so that a still frame and a brawl look alike, and
  zero motion lies anywhere.
- The "standard" normalisation cuts at 20 and divides by 20, though almost all of 0..255 lies above: nearly
  every value becomes 1.
- A clip that is mirrored or runs backwards keeps its arrows.
- Noise of 0.05 is added on the scale of 0..255, where it does nothing.
- Validation draws a random window, so that its figures change from one reading to the next, and crops
  where motion is strongest.

A picture's flow leads to the picture after it here; that of the last is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vedette_edge.clips import Sampled, flow_of
from vedette_edge.errors import ConfigError
from vedette_edge.manifest import InputSpec
from vedette_edge.sampling import Clip
from vedette_edge.types import FloatArray
from vedette_train.data.clips import TrainClips
from vedette_train.data.folder import Video
from vedette_train.recipe import AugmentSettings

__all__ = [
    "FLOW_MEAN",
    "FLOW_STD",
    "PublishedAugmentation",
    "PublishedValClips",
    "clip_tensor",
    "encode_flow",
    "normalise",
]

_CLAMP = 20.0
FLOW_MEAN, FLOW_STD = 0.5, 0.15  # of "statistical", for values in 0..1
_BRIGHTNESS_SHARE = 0.3  # how often the brightness changes


def encode_flow(flow: Tensor) -> Tensor:
    """Stretch each component of each frame to 0..255 and cut it to whole numbers.

    Args:
        flow: (T, 2, H, W), pixels.

    Returns:
        (T, 2, H, W) uint8; all zero where a component is the same everywhere.
    """
    values = flow.float()
    low, high = values.amin(dim=(2, 3), keepdim=True), values.amax(dim=(2, 3), keepdim=True)
    span = high - low
    scale = torch.where(span > 0, 255.0 / span.clamp(min=1e-12), 0.0)
    return ((values - low) * scale).to(torch.uint8)


def normalise(clip: Tensor, spec: InputSpec) -> Tensor:
    """Return a clip as the published network took it.

    With a mean and deviation of 0.5 this is "standard": (v / 255 - 0.5) / 0.5 for the picture, the flow cut
    to +-20 and divided by 20. With others it is "statistical": (v / 255 - mean) / std for all channels, cut
    to +-1.

    Args:
        clip: (T, 5, H, W), values in 0..255.
        spec: the network's input; its mean and deviation are the picture's.
    """
    pictures, flow = clip[:, :3].float() / 255.0, clip[:, 3:].float()
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    pictures = (pictures - mean) / std
    if is_standard(spec):
        return torch.cat([pictures, flow.clamp(-_CLAMP, _CLAMP) / _CLAMP], dim=1)
    return torch.cat([pictures, (flow / 255.0 - FLOW_MEAN) / FLOW_STD], dim=1).clamp(-1.0, 1.0)


def is_standard(spec: InputSpec) -> bool:
    """Tell whether `normalise` is "standard"."""
    return {*spec.mean, *spec.std} == {0.5}


def clip_tensor(clip: Clip[Sampled], spec: InputSpec) -> FloatArray:
    """Return a clip of a stream as the published network took it; takes the place of `clips.clip_tensor`.

    The whole picture is seen, because a stream has no place for a crop that looks ahead.

    Returns:
        (1, 5, T, H, W) float32.
    """
    pictures = torch.from_numpy(np.stack([item.fitted for item in clip.items]))
    flow = torch.from_numpy(np.stack(flow_of(clip.items)))
    forwards = torch.cat([flow[1:], torch.zeros_like(flow[:1])])
    parts = [pictures.permute(0, 3, 1, 2), encode_flow(forwards.permute(0, 3, 1, 2))]
    tensor = normalise(torch.cat(parts, dim=1), spec)
    return np.ascontiguousarray(tensor.transpose(0, 1)[None].numpy())


class PublishedAugmentation:
    """Takes the place of `augment.ClipAugmentation`; of the settings it heeds those that were published."""

    def __init__(self, spec: InputSpec, settings: AugmentSettings | None) -> None:
        """Make clips as `spec` says; `settings` None is the validation: the crop only.

        Raises:
            ConfigError: when the spec is not of pictures and flow.
        """
        if spec.streams != "rgb+flow":
            raise ConfigError("data.faithful needs data.input.streams: rgb+flow")
        self._spec = spec
        self._settings = settings

    def __call__(self, pictures: Tensor | None, flow: Tensor | None) -> Tensor:
        """Draw once and change a clip.

        Args:
            pictures: (T, 3, H, W) uint8.
            flow: (T + 1, 2, H, W) pixels; see `augment.ClipAugmentation`.

        Returns:
            (T, 5, spec.height, spec.width) float32.
        """
        assert pictures is not None
        assert flow is not None
        clip = torch.cat([pictures, encode_flow(flow[1:])], dim=1).float()
        top, left = _strongest(clip[:, 3:], self._spec)
        clip = clip[..., top : top + self._spec.height, left : left + self._spec.width]
        return normalise(clip if self._settings is None else _change(clip, self._settings), self._spec)


class PublishedValClips(Dataset[tuple[Tensor, int]]):
    """A random window of each video, cropped where motion is strongest: another one at each reading."""

    def __init__(self, videos: Sequence[Video], spec: InputSpec, cache: Path) -> None:
        """Draw one window of each video, from PyTorch's random state."""
        self._clips = TrainClips(videos, spec, cache, PublishedAugmentation(spec, None))

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Draw a window: ((5, T, H, W) float32, label)."""
        return self._clips[index]


def _strongest(flow: Tensor, spec: InputSpec) -> tuple[int, int]:
    """Centre the crop on the strongest pixel of the encoded flow, where 128 or so stands for rest."""
    strength = torch.linalg.vector_norm(flow, dim=1).mean(dim=0)
    row, column = divmod(int(strength.argmax()), strength.shape[1])
    top = min(max(0, row - spec.height // 2), strength.shape[0] - spec.height)
    left = min(max(0, column - spec.width // 2), strength.shape[1] - spec.width)
    return top, left


def _change(clip: Tensor, settings: AugmentSettings) -> Tensor:
    def happens(share: float) -> bool:
        return float(torch.rand(())) < share

    if happens(settings.time_reverse):
        clip = clip.flip(0)  # and the arrows still point forwards
    if happens(settings.hflip):
        clip = clip.flip(-1)  # and the arrows still point where they did
    clip = clip.clone()
    if happens(_BRIGHTNESS_SHARE):
        factor = 1.0 + settings.brightness * float(torch.empty(()).uniform_(-1.0, 1.0))
        clip[:, :3] = (clip[:, :3] * factor).clamp(0.0, 255.0)
    if happens(settings.cutout):
        side = round(settings.cutout_size * min(clip.shape[-2:]))
        top, left = (int(torch.randint(size - side + 1, ())) for size in clip.shape[-2:])
        clip[..., top : top + side, left : left + side] = 0.0
    clip[:, 3:] += settings.flow_noise * torch.randn_like(clip[:, 3:])
    return clip
