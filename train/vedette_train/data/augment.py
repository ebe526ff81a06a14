"""Random changes to a whole clip: one draw, the same for each of its frames, and for their flow.

Flow is geometry: where the picture is scaled, turned, mirrored or run backwards, so are the arrows. Built of
torchvision's v2 functions, which treat all leading axes of a (T, C, H, W) tensor alike. All draws come from
PyTorch's random state.
"""

from __future__ import annotations

import math

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import InputSpec
from vedette_train.recipe import AugmentSettings

__all__ = ["ClipAugmentation", "motion_box", "rotate_flow"]

Box = tuple[int, int, int, int]  # top, left, height, width


class ClipAugmentation:
    """From kept frames and flow to the network's input, changed at random."""

    def __init__(self, spec: InputSpec, settings: AugmentSettings) -> None:
        """Make clips as `spec` says, changed as `settings` say.

        Raises:
            ConfigError: when the settings need flow and the spec has none.
        """
        if spec.flow is None and settings.motion_crop:
            raise ConfigError("augment.motion_crop needs flow: set data.input.streams and data.input.flow")
        self._spec = spec
        self._settings = settings
        # Relative to the input's own shape: 1 keeps the picture's proportions.
        self._ratio = [ratio * spec.width / spec.height for ratio in settings.crop_ratio]
        amounts = (settings.brightness, settings.contrast, settings.saturation, settings.hue)
        self._jitter = v2.ColorJitter(*amounts) if any(amounts) else None

    def __call__(self, pictures: Tensor | None, flow: Tensor | None = None) -> Tensor:
        """Draw once and change a clip.

        Args:
            pictures: (T, 3, H, W) uint8 of any size; None where the network sees none.
            flow: (T + 1, 2, H, W) pixels, of each picture from the one before it, and last the one after the
                clip (zero where there is none), which a clip that runs backwards begins with.

        Returns:
            (T, C, spec.height, spec.width) float32, normalised as `preprocess.to_tensor` does.
        """
        settings = self._settings
        if _happens(settings.time_reverse):
            pictures = None if pictures is None else pictures.flip(0)
            flow = None if flow is None else -flow[1:].flip(0)
        elif flow is not None:
            flow = flow[:-1]
        if settings.rotate:
            angle = float(torch.empty(()).uniform_(-settings.rotate, settings.rotate))
            if pictures is not None:
                pictures = _rotate(pictures, angle, [255.0 * value for value in self._spec.mean])
            flow = None if flow is None else rotate_flow(flow, angle)
        some = pictures if pictures is not None else flow
        assert some is not None
        box = v2.RandomResizedCrop.get_params(some, list(settings.crop_area), self._ratio)
        if flow is not None and _happens(settings.motion_crop):
            box = motion_box(flow, box)
        flipped = _happens(settings.hflip)
        parts: list[Tensor] = []
        if pictures is not None:
            parts.append(self._finish_pictures(pictures, box, flipped))
        if flow is not None:
            parts.append(self._finish_flow(flow, box, flipped))
        clip = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        if _happens(settings.cutout):
            _cut_out(clip, settings.cutout_size)
        return clip

    def _finish_pictures(self, pictures: Tensor, box: Box, flipped: bool) -> Tensor:
        spec = self._spec
        pictures = F.resized_crop(pictures, *box, [spec.height, spec.width], antialias=True)
        if flipped:
            pictures = pictures.flip(-1)
        if self._jitter:
            pictures = self._jitter(pictures)
        scaled: Tensor = F.normalize(
            F.to_dtype(pictures, torch.float32, scale=True), list(spec.mean), list(spec.std), inplace=True
        )
        return _difference(scaled) if spec.temporal == "difference" else scaled

    def _finish_flow(self, flow: Tensor, box: Box, flipped: bool) -> Tensor:
        spec, noise = self._spec, self._settings.flow_noise
        assert spec.flow is not None
        top, left, height, width = box
        part = flow[..., top : top + height, left : left + width].float()
        # Resizing planes is four times faster than resizing interleaved channels.
        part = part.contiguous()
        part = F.resize(part, [spec.height, spec.width], antialias=True)
        if flipped:
            part = part.flip(-1)
        across = spec.width / width * (-1.0 if flipped else 1.0)
        part = part * part.new_tensor([across, spec.height / height])[:, None, None]
        scaled: Tensor = part / spec.flow.bound
        length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True) if spec.flow.magnitude else None
        scaled.clamp_(-1.0, 1.0)
        if length is not None:
            scaled = torch.cat([scaled, 2.0 * length.clamp_(max=1.0) - 1.0], dim=1)
        return scaled.add_(noise * torch.randn_like(scaled)).clamp_(-1.0, 1.0) if noise else scaled


def rotate_flow(flow: Tensor, angle: float) -> Tensor:
    """Turn a field, places and arrows, by `angle` degrees against the clock; corners become zero.

    Args:
        flow: (T, 2, H, W), x to the right and y downwards.
        angle: degrees.
    """
    turned = _rotate(flow.float().contiguous(), angle, [0.0, 0.0])
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = turned[:, 0], turned[:, 1]
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=1)


def motion_box(flow: Tensor, box: Box) -> Box:
    """Lay a crop where it holds most motion; where all places hold as much, leave it.

    Args:
        flow: (T, 2, H, W).
        box: (top, left, height, width); its size is kept. The first of several best places wins.
    """
    _, _, height, width = box
    strength = torch.linalg.vector_norm(flow.float(), dim=1).mean(dim=0).double()
    total = torch.nn.functional.pad(strength.cumsum(0).cumsum(1), (1, 0, 1, 0))
    held = (
        total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    )
    if held.max() - held.min() <= 1e-6 * strength.sum():
        return box
    best = int(held.argmax())
    return best // held.shape[1], best % held.shape[1], height, width


def _rotate(clip: Tensor, angle: float, fill: list[float]) -> Tensor:
    turned: Tensor = F.rotate(clip, angle, interpolation=v2.InterpolationMode.BILINEAR, fill=fill)
    return turned


def _cut_out(clip: Tensor, size: float) -> None:
    """Blank a square of all frames, in place: zero is the mean colour, no change, and no motion."""
    height, width = clip.shape[-2:]
    rows, columns = round(size * height), round(size * width)
    top = int(torch.randint(height - rows + 1, ()))
    left = int(torch.randint(width - columns + 1, ()))
    clip[..., top : top + rows, left : left + columns] = 0.0


def _difference(clip: Tensor) -> Tensor:
    """Return each frame minus the one before it, the first one zero; (T, C, H, W)."""
    return torch.cat([torch.zeros_like(clip[:1]), clip[1:] - clip[:-1]])


def _happens(share: float) -> bool:
    return share > 0 and float(torch.rand(())) < share
