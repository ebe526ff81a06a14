"""The detectors: pictures in, score and map out, as one graph without state.

`Detector.forward` is all that a device needs. Training adds `features` (which may be kept when the backbone
is frozen) and `loss`. The higher the score, the less a picture looks like the good ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette_train.anomaly.backbones import FeatureReader, build_backbone, pooled
from vedette_train.anomaly.recipe import AnomalyRecipe

__all__ = [
    "Detector",
    "DrawnDefects",
    "FeatCAE",
    "Reconstruction",
    "build_detector",
    "inner_map",
    "level",
    "top_mean",
]


def inner_map(maps: Tensor, border: int) -> Tensor:
    """Return maps (..., H, W) without `border` cells at each side, where padding shows as a finding."""
    return maps[..., border : maps.shape[-2] - border, border : maps.shape[-1] - border]


def top_mean(maps: Tensor, count: int) -> Tensor:
    """Return the mean of the `count` largest values of each map: (N, H, W) to (N,)."""
    return maps.flatten(1).topk(count, dim=1).values.mean(dim=1)


def level(maps: Tensor, quantile: float) -> Tensor:
    """Return the value that a share `quantile` of each map's cells lies below: (N, H, W) to (N, 1, 1).

    Pictures of a piece that is unlike the others everywhere, by its light or its grain, have high maps
    without a defect; what counts is what stands out of the picture's own level.
    """
    cells = maps.flatten(1)
    above = max(1, round((1 - quantile) * cells.shape[1]))
    return cells.topk(above, dim=1).values[:, -1, None, None]


class Detector(nn.Module, ABC):
    """Judges pictures; the map is without its border, and the score is made of what the map shows."""

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Freeze the backbone."""
        super().__init__()
        self.reader = reader
        self.border, self.top_k = recipe.anomaly.border, recipe.anomaly.top_k
        self.relative = recipe.anomaly.relative
        self.reader.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map pictures (N, 3, H, W) float32 to scores (N,) and maps (N, H', W').

        The maps lack `border` cells at each side of the features' grid; the rest divides what is left of the
        picture evenly.
        """
        maps = inner_map(self.whole_map(self.features(images)), self.border)
        if self.relative is not None:
            maps = self.against(maps, level(maps, self.relative))
        return top_mean(maps, self.top_k), maps

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to one tensor (N, C, h, w): the backbone's work, which never changes."""

    @abstractmethod
    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to anomaly maps (N, h, w), border included."""

    @abstractmethod
    def against(self, maps: Tensor, levels: Tensor) -> Tensor:
        """Return maps (N, h, w) measured against a level (N, 1, 1) of their own."""

    @abstractmethod
    def loss(self, features: Tensor, masks: Tensor) -> Tensor:
        """Return the mean loss of a batch; `masks` (N, H, W) float32 are 1 on drawn defects."""

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Learn what needs no gradient, from features (N, C, h, w) of the training pictures."""
        del batches

    def train(self, mode: bool = True) -> Detector:
        """Set the mode; the backbone's batch norm always keeps its running statistics."""
        super().train(mode)
        self.reader.eval()
        return self


class FeatCAE(nn.Module):
    """Autoencoder of 1 x 1 convolutions over features [DFR, Yang et al. 2020, arXiv 2012.07122].

    With m = (C + 2d) // 2: C, m, 2d, d and back; batch norm and ReLU between them, not at the two ends.
    """

    def __init__(self, channels: int, latent: int, *, batch_norm: bool = True) -> None:
        """Build it with random weights.

        Args:
            channels: C.
            latent: d.
            batch_norm: between the layers.
        """
        super().__init__()
        middle = (channels + 2 * latent) // 2
        down, up = (channels, middle, 2 * latent, latent), (latent, 2 * latent, middle, channels)
        self.encoder = nn.Sequential(*_layers(down, batch_norm))
        self.decoder = nn.Sequential(*_layers(up, batch_norm))

    def forward(self, features: Tensor) -> Tensor:
        """Rebuild features (N, C, H, W)."""
        rebuilt: Tensor = self.decoder(self.encoder(features))
        return rebuilt


def _layers(sizes: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(sizes)):
        layers.append(nn.Conv2d(before, after, 1))
        if index < len(sizes) - 2:
            layers += [nn.BatchNorm2d(after)] * batch_norm + [nn.ReLU()]
    return layers


class Reconstruction(Detector):
    """What an autoencoder of good features cannot rebuild: S = mean over channels of (F - F')^2."""

    mean: Tensor
    std: Tensor

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Build it with a random autoencoder."""
        super().__init__(reader, recipe)
        settings, channels = recipe.anomaly, recipe.backbone.channels
        self.standardise = settings.standardise
        self.autoencoder = FeatCAE(channels, settings.latent_dim, batch_norm=settings.batch_norm)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Measure each channel's mean and deviation, where the recipe wants them."""
        if self.standardise:
            flat = torch.cat([batch.double().transpose(0, 1).flatten(1) for batch in batches], dim=1)
            self.mean.copy_(flat.mean(dim=1).view_as(self.mean))
            self.std.copy_(flat.std(dim=1).clamp(min=1e-4).view_as(self.std))

    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to (N, C, h, w), at the first layer's size."""
        return pooled(self.reader(images))

    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to reconstruction errors (N, h, w), the mean over channels."""
        wanted = (features - self.mean) / self.std
        errors: Tensor = (wanted - self.autoencoder(wanted)).square().mean(dim=1)
        return errors

    def against(self, maps: Tensor, levels: Tensor) -> Tensor:
        """Return how many times the level each error is."""
        return maps / levels.clamp(min=1e-12)

    def loss(self, features: Tensor, masks: Tensor) -> Tensor:
        """Return the mean squared error; masks do not matter."""
        del masks
        return self.whole_map(features).mean()


class DrawnDefects(Detector):
    """Tells drawn defects from good pictures, cell by cell [after DRAEM and NSA, on backbone features].

    Its map is the logit of "defect" for each cell.
    """

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Build it with a random head."""
        super().__init__(reader, recipe)
        settings, spec, width = recipe.anomaly, recipe.spec, recipe.anomaly.width
        self.size = (-(-spec.height // settings.stride), -(-spec.width // settings.stride))
        self.head = nn.Sequential(
            # Each picture against itself, so that a piece of another grain or light is not a defect all over.
            nn.InstanceNorm2d(recipe.backbone.channels, affine=True),
            *_conv(recipe.backbone.channels, width, 1),
            *_conv(width, width, 3),
        )
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.constant_(torch.as_tensor(self.last.bias), _RARE)

    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to features of all layers, (N, C, h, w): a cell each `stride` pixels."""
        return torch.cat([_resized(part, self.size) for part in self.reader(images)], dim=1)

    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to logits (N, h, w)."""
        logits: Tensor = self.last(self.head(features))
        return logits[:, 0]

    def against(self, maps: Tensor, levels: Tensor) -> Tensor:
        """Return how far above the level each logit is."""
        return maps - levels

    def loss(self, features: Tensor, masks: Tensor) -> Tensor:
        """Return focal loss [Lin et al. 2017] plus half the Dice loss, against any defect in each cell."""
        logits = self.whole_map(features)
        wanted = F.adaptive_max_pool2d(masks[:, None], self.size)[:, 0]
        each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        focal = ((1 - torch.exp(-each)).square() * each).mean()
        found = logits.sigmoid()
        dice = 1 - (2 * (found * wanted).sum() + 1) / (found.sum() + wanted.sum() + 1)
        return 4 * focal + dice / 2


_RARE = -3.0  # the logit that training starts from, as most cells are good


def _conv(before: int, after: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.BatchNorm2d(after), nn.ReLU()]


def _resized(part: Tensor, size: tuple[int, int]) -> Tensor:
    if part.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(part, size)
    return F.interpolate(part, size, mode="bilinear", align_corners=False)


_METHODS: dict[str, type[Detector]] = {"featcae": Reconstruction, "defects": DrawnDefects}


def build_detector(recipe: AnomalyRecipe, *, weights: bool = True) -> Detector:
    """Build the recipe's detector, untrained, in evaluation mode.

    Args:
        recipe: what to build.
        weights: load the backbone's weights; False where a run's own are loaded next.

    Raises:
        DataError: when the backbone's weights cannot be had.
    """
    source = recipe.backbone.weights if weights else None
    reader = build_backbone(recipe.backbone.name, recipe.backbone.layers, source)
    return _METHODS[recipe.anomaly.method](reader, recipe).eval()
