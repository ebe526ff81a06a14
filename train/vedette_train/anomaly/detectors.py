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
from vedette_train.models.pooling import grid_means

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
    cells = maps.flatten(1)
    return cells.gather(1, _largest(cells, count)).mean(dim=1)


def level(maps: Tensor, quantile: float) -> Tensor:
    """Return the value that a share `quantile` of each map's cells lies below: (N, H, W) to (N, 1, 1).

    Pictures of a piece that is unlike the others everywhere, by its light or its grain, have high maps
    without a defect; what counts is what stands out of the picture's own level.
    """
    cells = maps.flatten(1)
    above = max(1, round((1 - quantile) * cells.shape[1]))
    return cells.gather(1, _largest(cells, above)[:, -1:])[:, :, None]


def _largest(cells: Tensor, count: int) -> Tensor:
    """Return where the largest values are, the largest first: (N, cells) to (N, count).

    What stands there is gathered, because LiteRT has the operator only where somebody asks for the places.
    """
    return cells.topk(count, dim=1).indices


class Detector(nn.Module, ABC):
    """Judges pictures; the map is without its border, and the score is made of what the map shows.

    Attributes:
        reads: name of the layer that takes the features' channels.
        keeps_float: names of layers that int8 leaves alone, with what stands between them.
    """

    reads: str
    keeps_float: tuple[str, ...] = ()

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Freeze the backbone."""
        super().__init__()
        self.reader = reader
        self.border, self.top_k = recipe.anomaly.border, recipe.anomaly.top_k
        self.relative = recipe.anomaly.relative
        self.reader.requires_grad_(False)
        self.measures = False

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map pictures (N, 3, H, W) float32 to scores (N,) and maps (N, H', W').

        The maps lack `border` cells at each side of the features' grid; the rest divides what is left of the
        picture evenly.
        """
        return self.judge(self.features(images))

    def judge(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features to scores (N,) and maps (N, H', W'): the detector's part of the work."""
        parts = self.parts(features)
        scores = torch.stack([top_mean(part, self.top_k) for part in parts])
        return scores.sum(dim=0), torch.stack(parts).sum(dim=0)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to one tensor (N, C, h, w): the backbone's work, which never changes."""

    @abstractmethod
    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to what is learnt of each cell, (N, h, w), border included."""

    @abstractmethod
    def parts(self, features: Tensor) -> list[Tensor]:
        """Map features to maps (N, H', W') without border; they add up, and so do their scores."""

    @abstractmethod
    def loss(self, features: Tensor, masks: Tensor) -> Tensor:
        """Return the mean loss of a batch; `masks` (N, H, W) float32 are 1 on drawn defects."""

    def begin(self, batches: Sequence[Tensor], seed: int) -> None:
        """Learn what needs no gradient, from features (N, C, h, w) of good pictures, if `measures`."""
        del batches, seed

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

    reads = "autoencoder.encoder.0"
    mean: Tensor
    std: Tensor

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Build it with a random autoencoder."""
        super().__init__(reader, recipe)
        settings, channels = recipe.anomaly, recipe.backbone.channels
        self.measures = settings.standardise
        self.autoencoder = FeatCAE(channels, settings.latent_dim, batch_norm=settings.batch_norm)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def begin(self, batches: Sequence[Tensor], seed: int) -> None:
        """Measure each channel's mean and deviation."""
        del seed
        _measure(batches, self.mean, self.std)

    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to (N, C, h, w), at the first layer's size."""
        return pooled(self.reader(images))

    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to reconstruction errors (N, h, w), the mean over channels."""
        wanted = (features - self.mean) / self.std
        errors: Tensor = (wanted - self.autoencoder(wanted)).square().mean(dim=1)
        return errors

    def parts(self, features: Tensor) -> list[Tensor]:
        """Map features to errors, as multiples of the picture's own level where the recipe wants that."""
        errors = inner_map(self.whole_map(features), self.border)
        return [errors if self.relative is None else errors / level(errors, self.relative).clamp(min=1e-12)]

    def loss(self, features: Tensor, masks: Tensor) -> Tensor:
        """Return the mean squared error; masks do not matter."""
        del masks
        return self.whole_map(features).mean()


class DrawnDefects(Detector):
    """Tells drawn defects from good pictures [after DRAEM and NSA, on backbone features].

    Its map is the logit of "defect" for each cell. With `patches`, the distance to the nearest of that many
    good patches [PatchCore, Roth et al. 2022] is added, as the log of its ratio to the picture's median.
    """

    reads = "head.0"
    # Scores of good and bad pictures differ by less than a step of 8 bits, and the layers are small.
    keeps_float = ("head", "last")
    bank: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, reader: FeatureReader, recipe: AnomalyRecipe) -> None:
        """Build it with a random head and an empty bank of patches."""
        super().__init__(reader, recipe)
        settings, spec, width = recipe.anomaly, recipe.spec, recipe.anomaly.width
        channels, mixed = recipe.backbone.channels, 2 * recipe.anomaly.width
        self.size = (-(-spec.height // settings.stride), -(-spec.width // settings.stride))
        self.head = nn.Sequential(
            nn.Conv2d(channels, mixed, 1),
            # Each picture against itself, so that a piece of another grain or light is not a defect all over.
            nn.InstanceNorm2d(mixed, affine=True),
            *_conv(mixed, width),
            *_conv(width, width),
        )
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.constant_(torch.as_tensor(self.last.bias), _RARE)
        self.measures = settings.patches > 0
        self.weight = settings.patch_weight
        self.register_buffer("bank", torch.zeros(settings.patches, channels))
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def begin(self, batches: Sequence[Tensor], seed: int) -> None:
        """Fill the bank with patches drawn from good pictures."""
        _measure([_smooth(batch) for batch in batches], self.mean, self.std)
        patches = torch.cat([self._patches(batch.to(self.mean.device)).cpu() for batch in batches])
        drawn = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))
        # With fewer patches than the bank has places, some stand in it twice.
        self.bank.copy_(patches[drawn.repeat(-(-len(self.bank) // len(drawn)))[: len(self.bank)]])

    def features(self, images: Tensor) -> Tensor:
        """Map pictures (N, 3, H, W) to features of all layers, (N, C, h, w): a cell each `stride` pixels."""
        return torch.cat([_resized(part, self.size) for part in self.reader(images)], dim=1)

    def whole_map(self, features: Tensor) -> Tensor:
        """Map features to logits (N, h, w)."""
        logits: Tensor = self.last(self.head(features))
        return logits[:, 0]

    def parts(self, features: Tensor) -> list[Tensor]:
        """Map features to logits above the picture's own level, and to distances from good patches."""
        logits = inner_map(self.whole_map(features), self.border)
        found = [logits if self.relative is None else logits - level(logits, self.relative)]
        if self.measures:
            distances = inner_map(self.distances(features), self.border)
            found.append(self.weight * torch.log(distances / level(distances, 0.5)))
        return found

    def distances(self, features: Tensor) -> Tensor:
        """Map features (N, C, h, w) to distances from the nearest patch of the bank, (N, h, w)."""
        patches = self._patches(features)
        # |p - b|^2 without |p|^2, which does not change which b is nearest.
        partial = torch.addmm(self.bank.square().sum(dim=1), patches, self.bank.T, alpha=-2)
        nearest = partial.amin(dim=1) + patches.square().sum(dim=1)
        return nearest.clamp(min=1e-6).sqrt().view(features.shape[0], *features.shape[2:])

    def _patches(self, features: Tensor) -> Tensor:
        even = (_smooth(features) - self.mean) / self.std
        return even.permute(0, 2, 3, 1).flatten(0, 2)

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


def _conv(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]


def _smooth(features: Tensor) -> Tensor:
    return F.avg_pool2d(features, 3, 1, 1)


def _measure(batches: Sequence[Tensor], mean: Tensor, std: Tensor) -> None:
    """Write each channel's mean and deviation into tensors (1, C, 1, 1)."""
    flat = torch.cat([batch.double().transpose(0, 1).flatten(1) for batch in batches], dim=1)
    mean.copy_(flat.mean(dim=1).view_as(mean))
    std.copy_(flat.std(dim=1).clamp(min=1e-4).view_as(std))


def _resized(part: Tensor, size: tuple[int, int]) -> Tensor:
    if part.shape[2] > size[0]:
        return grid_means(part, *size)
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
