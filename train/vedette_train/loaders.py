"""Loads the clips of a training: each process its share, in an order that can be had again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from vedette_edge.errors import UsageError
from vedette_train.data.augment import ClipAugmentation
from vedette_train.data.clips import TrainClips, ValClips
from vedette_train.data.faithful import PublishedAugmentation, PublishedValClips
from vedette_train.data.parts import Parts
from vedette_train.order import EpochOrder, SeededItems, ValidationBatches
from vedette_train.recipe import Recipe

__all__ = ["Loader", "Loaders", "draws", "make_loaders", "training_clips"]

_DRAWN_AT_ONCE = 4  # clips; nothing is trained on them, so it only has to be quick

Loader = DataLoader[Any]


@dataclass(frozen=True, slots=True)
class Loaders:
    """What one process loads.

    Attributes:
        training: batches of (clips, labels, items).
        validation: batches of (clips, labels); None where there is no validation part.
        order: of the training clips; it wants to be told the epoch.
    """

    training: Loader
    validation: Loader | None
    order: EpochOrder


def draws(recipe: Recipe, parts: Parts, cache: Path, count: int) -> Loader:
    """Return what loads `count` draws of every training clip, as in the first `count` epochs, in order."""
    clips = SeededItems(training_clips(recipe, parts, cache), recipe.seed)
    items = len(parts.train) * recipe.data.clips_per_video
    keys = [(draw, item) for draw in range(count) for item in range(items)]
    return DataLoader(clips, _DRAWN_AT_ONCE, sampler=keys, num_workers=recipe.train.workers)


def training_clips(recipe: Recipe, parts: Parts, cache: Path, *, pair: bool = False) -> TrainClips:
    """Return the augmented clips of the training part; with `pair`, each with the clip one frame later."""
    spec = recipe.data.input
    make = PublishedAugmentation if recipe.data.faithful else ClipAugmentation
    augment = make(spec, recipe.augment)
    count = recipe.data.clips_per_video
    return TrainClips(parts.train, spec, cache, augment, clips_per_video=count, pair=pair)


def make_loaders(recipe: Recipe, parts: Parts, cache: Path, *, world: int = 1, rank: int = 0) -> Loaders:
    """Return the loaders of process `rank` of `world`.

    Raises:
        UsageError: when there are more processes than validation videos.
    """
    settings = recipe.train
    common: dict[str, Any] = {
        "num_workers": settings.workers,
        "persistent_workers": settings.workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    clips = training_clips(recipe, parts, cache, pair=settings.consistency > 0)
    order = EpochOrder(len(clips), recipe.seed, world=world, rank=rank)
    training: Loader = DataLoader(
        SeededItems(clips, recipe.seed),
        settings.batch_size,
        sampler=order,
        # Batch norm cannot learn from a last batch of one clip.
        drop_last=len(order) > settings.batch_size,
        **common,
    )
    if not parts.val:
        return Loaders(training, None, order)
    if len(parts.val) < world:
        raise UsageError(
            f"{len(parts.val)} validation videos cannot be shared by {world} processes; start fewer"
        )
    batches = ValidationBatches(len(parts.val), settings.batch_size, world=world, rank=rank)
    kind = PublishedValClips if recipe.data.faithful else ValClips
    seen = kind(parts.val, recipe.data.input, cache)
    validation: Loader = DataLoader(seen, batch_sampler=batches, **common)
    return Loaders(training, validation, order)
