"""Teaches a slim backbone to give the features of the dense one.

As in FitNets [Romero et al. 2015, arXiv 1412.6550]. Nothing else trains a backbone here, and one that lost
channels no longer gives what its detector was made for.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vedette_train.anomaly.backbones import FeatureReader
from vedette_train.anomaly.recipe import AnomalyRecipe
from vedette_train.anomaly.samples import TrainingPictures, batches
from vedette_train.console import log, make_progress

__all__ = ["mend_reader"]

_RATE = 1e-3


def mend_reader(
    student: FeatureReader,
    teacher: FeatureReader,
    pictures: TrainingPictures,
    recipe: AnomalyRecipe,
    epochs: int,
) -> list[float]:
    """Train a slim backbone in place; its batch norm keeps its statistics, and it is frozen afterwards.

    Args:
        student: the slim one.
        teacher: the dense one, on the same device.
        pictures: to train on, as the recipe changes them.
        recipe: its batch size and seed count.
        epochs: over the pictures.

    Returns:
        For each epoch the mean squared error of the features as a share of the teacher's variance: 0 is the
        same, 1 no better than their mean.
    """
    device = next(student.parameters()).device
    student.eval().requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), lr=_RATE)
    steps = len(list(batches(len(pictures), recipe.train.batch_size, range(len(pictures)))))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps * epochs))
    errors = []
    with make_progress() as display:
        task = display.add_task("mend the backbone", total=steps * epochs)
        for epoch in range(epochs):
            order = np.random.default_rng((recipe.seed, epoch)).permutation(len(pictures)).tolist()
            total = 0.0
            for chosen in batches(len(order), recipe.train.batch_size, order):
                images = torch.stack([pictures(index, epoch)[0] for index in chosen]).to(device)
                with torch.no_grad():
                    wanted = teacher(images)
                loss = _error(student(images), wanted)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
                display.advance(task)
            errors.append(total / steps)
            log(f"backbone {epoch + 1}/{epochs}   {errors[-1]:.1%} of the features' variance is not met")
    student.requires_grad_(False)
    return errors


def _error(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Return the mean squared error over the variance, the mean over the layers that are read."""
    parts = [
        F.mse_loss(one, other) / other.var().clamp(min=1e-12)
        for one, other in zip(found, wanted, strict=True)
    ]
    return torch.stack(parts).mean()
