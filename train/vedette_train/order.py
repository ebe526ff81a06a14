"""Which clips make up an epoch, in which order, and with which random numbers.

Order and augmentation are functions of the recipe's seed, the number of the epoch and the number of the
item; no state is carried from one epoch to the next. So a resumed training sees the very clips that the
uninterrupted one would have seen, however many processes load them and however many train.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, Sampler

__all__ = ["BatchSeeds", "EpochOrder", "SeededItems", "ValidationBatches", "seed_of"]

Key = tuple[int, int]


def seed_of(*numbers: int) -> int:
    """Mix numbers (a seed, an epoch, an item, ...) into one seed of 32 bits [O'Neill 2015, SeedSequence]."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class EpochOrder(DistributedSampler[Key]):
    """Shuffles the items anew each epoch; yields (epoch, item), this process's share of them."""

    def __init__(self, length: int, seed: int, *, world: int = 1, rank: int = 0) -> None:
        """Deal `length` items to `world` processes; the same order follows from the same seed and epoch."""
        super().__init__(range(length), num_replicas=world, rank=rank, seed=seed)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Key]:
        """Yield the share of the epoch that `set_epoch` named."""
        for item in super().__iter__():
            yield self.epoch, int(item)  # type: ignore[call-overload]


class SeededItems(Dataset[tuple[Tensor, int, int]]):
    """A dataset (clip, label) whose random draws depend on nothing but seed, epoch and item.

    Items are (clip, label, item), so that a batch can say which videos it is made of.
    """

    def __init__(self, dataset: Dataset[tuple[Tensor, int]], seed: int) -> None:
        """Wrap `dataset`, which may draw from the generators of PyTorch, NumPy and Python."""
        self._dataset = dataset
        self._seed = seed

    def __getitem__(self, key: Key) -> tuple[Tensor, int, int]:
        """Return an item of an epoch; the generators are left as they were."""
        epoch, item = key
        with isolate_rng(include_cuda=False):
            _seed_all(seed_of(self._seed, epoch, item))
            clip, label = self._dataset[item]
        return clip, label, item


class ValidationBatches(Sampler[list[int]]):
    """Batches of items in their order, of this process's share.

    Every process gets the same number of batches, none empty: they measure together, and one with a batch
    more would wait for the others for ever.
    """

    def __init__(self, length: int, batch_size: int, *, world: int = 1, rank: int = 0) -> None:
        """Deal `length` items, at least `world` of them."""
        count = min(math.ceil(math.ceil(length / world) / batch_size), length // world)
        share = np.arange(rank, length, world)
        self._batches = [part.tolist() for part in np.array_split(share, max(1, count))]

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of items."""
        return iter(self._batches)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)


class BatchSeeds(Callback):
    """Seeds all generators at each batch, from seed, epoch, batch and process: dropout has no memory either.

    A resumed training tells its loader here which epoch comes next, because workers begin to load before
    the loop begins.
    """

    def __init__(self, seed: int, order: EpochOrder) -> None:
        """Seed from the recipe's `seed`; `order` is the training loader's."""
        self._seed = seed
        self._order = order

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with the epoch after the checkpoint's."""
        del trainer, pl_module
        self._order.set_epoch(int(checkpoint["epoch"]) + 1)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed PyTorch (all devices), NumPy and Python."""
        del pl_module, batch
        # Each batch and not each epoch: making a loader's iterator draws a number, and when that happens
        # differs between a training that goes on and one that was resumed.
        _seed_all(seed_of(self._seed, trainer.current_epoch, batch_idx, trainer.global_rank), cuda=True)


def _seed_all(seed: int, *, cuda: bool = False) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if cuda:
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def names_of(items: Sequence[int], names: Sequence[str]) -> str:
    """Return the names of some items, each once, for a message."""
    return ", ".join(dict.fromkeys(names[item] for item in items))
