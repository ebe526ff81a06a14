"""Random changes to a whole clip: one draw, the same for each of its frames.

Built of torchvision's v2 transforms, which treat all leading axes of a (T, C, H, W) tensor alike.
"""

from __future__ import annotations

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
from torch import Tensor
from torchvision.transforms import v2

from vedette_edge.manifest import InputSpec
from vedette_train.recipe import AugmentSettings

__all__ = ["clip_augmentation"]


def clip_augmentation(spec: InputSpec, settings: AugmentSettings) -> v2.Compose:
    """Return a transform from (T, C, H, W) uint8 of any size to (T, C, spec.height, spec.width) float32.

    The result is normalised as `preprocess.to_tensor` does.
    """
    steps: list[torch.nn.Module] = []
    if settings.rotate:
        steps.append(
            v2.RandomRotation(settings.rotate, interpolation=v2.InterpolationMode.BILINEAR, fill=_fill(spec))
        )
    steps.append(
        v2.RandomResizedCrop(
            (spec.height, spec.width),
            scale=settings.crop_area,
            # Relative to the input's own shape: 1 keeps the picture's proportions.
            ratio=tuple(ratio * spec.width / spec.height for ratio in settings.crop_ratio),
            antialias=True,
        )
    )
    if settings.hflip:
        steps.append(v2.RandomHorizontalFlip(settings.hflip))
    if settings.brightness or settings.contrast or settings.saturation or settings.hue:
        steps.append(
            v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue)
        )
    steps.append(v2.ToDtype(torch.float32, scale=True))
    steps.append(v2.Normalize(list(spec.mean), list(spec.std)))
    if spec.temporal == "difference":
        steps.append(v2.Lambda(_difference))
    return v2.Compose(steps)


def _fill(spec: InputSpec) -> list[float]:
    return [255.0 * value for value in spec.mean]


def _difference(clip: Tensor) -> Tensor:
    """Return each frame minus the one before it, the first one zero; (T, C, H, W)."""
    return torch.cat([torch.zeros_like(clip[:1]), clip[1:] - clip[:-1]])
