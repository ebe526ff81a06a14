"""Training pictures: read once, changed anew each epoch, the same way for the same seed, epoch and picture.

Because no choice depends on what was drawn before it, a training that was interrupted goes on with exactly
the pictures that it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vedette_edge.preprocess import fit
from vedette_edge.types import Image
from vedette_train.anomaly.defects import add_defect, change_light, change_size
from vedette_train.anomaly.images import as_tensor, read_image
from vedette_train.anomaly.recipe import AnomalyRecipe, DrawSettings

__all__ = ["TrainingPictures", "batches"]


class TrainingPictures:
    """Good pictures as tensors, with what the recipe draws on them."""

    def __init__(self, paths: Sequence[Path], recipe: AnomalyRecipe, *, held_out: bool = False) -> None:
        """Remember what to read.

        Args:
            paths: files, all readable.
            recipe: input, changes and seed.
            held_out: whether defects are drawn the same way every epoch, and nothing else is changed.
        """
        self._paths = tuple(paths)
        self._recipe = recipe
        self._held_out = held_out
        self._draws_defects = recipe.anomaly.method == "defects"

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._paths)

    def variant(self, epoch: int) -> int | None:
        """Return the number of an epoch's way of changing pictures, where it comes again; None where not."""
        draw = self._recipe.draw
        changed = self._draws_defects or draw.hflip or draw.vflip or draw.zoom or draw.light
        if self._held_out or not changed:
            return 0
        return epoch % draw.variants if draw.variants else None

    def good(self, index: int) -> Tensor:
        """Return a picture as it is, (3, H, W) float32."""
        return torch.from_numpy(as_tensor(self._images[index], self._recipe.spec))

    def __call__(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return picture (3, H, W) float32 and mask (H, W) float32, 1 on drawn defects."""
        spec, draw = self._recipe.spec, self._recipe.draw
        image = self._images[index]
        mask = np.zeros(image.shape[:2], np.bool_)
        variant = self.variant(epoch)
        drawing = epoch if variant is None else variant
        rng = np.random.default_rng((self._recipe.seed, drawing, index, int(self._held_out)))
        if not self._held_out:
            image = _changed(image, draw, rng)
        if self._draws_defects and rng.random() < draw.defects:
            for _ in range(int(rng.integers(1, draw.most + 1))):
                other = self._images[int(rng.integers(len(self._images)))]
                image, drawn = add_defect(image, other, rng)
                mask |= drawn
        return torch.from_numpy(as_tensor(image, spec)), torch.from_numpy(mask.astype(np.float32))

    @cached_property
    def _images(self) -> list[Image]:
        """All pictures at the network's size, (H, W, 3) uint8 BGR."""
        spec = self._recipe.spec.model_copy(update={"color": "bgr"})
        return [fit(read_image(path, self._recipe.data.input.white), spec) for path in self._paths]


def batches(count: int, size: int, order: Sequence[int]) -> Iterator[list[int]]:
    """Yield the order in parts of `size`; a last part of one picture joins the one before it.

    Batch norm cannot learn from one picture of one cell, and one picture alone is a noisy step.
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    for position, start in enumerate(starts):
        end = starts[position + 1] if position + 1 < len(starts) else count
        yield list(order[start:end])


def _changed(image: Image, draw: DrawSettings, rng: np.random.Generator) -> Image:
    if rng.random() < draw.hflip:
        image = image[:, ::-1]
    if rng.random() < draw.vflip:
        image = image[::-1]
    image = np.ascontiguousarray(image)
    if draw.zoom:
        image = change_size(image, draw.zoom, rng)
    return change_light(image, draw.light, rng) if draw.light else image
