"""The optimiser and its learning rate: warmed up, then falling as the recipe says."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, ReduceLROnPlateau

from vedette_train.models.layers import PaddedConv3d
from vedette_train.recipe import TrainSettings

__all__ = [
    "RateFactor",
    "make_optimizer",
    "make_plateau",
    "make_schedule",
    "mode_of",
    "parameter_groups",
]


def mode_of(monitor: str) -> Literal["min", "max"]:
    """Return which way a metric gets better: losses fall, accuracy and F1 rise."""
    return "min" if monitor.endswith("loss") else "max"


def parameter_groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Divide the parameters that are trained by kind of layer: classifier, 1x1x1 convolutions, all else.

    Weights that come from ImageNet bear far lower rates than a new classifier.
    """
    kinds: dict[str, list[nn.Parameter]] = {"classifier": [], "pointwise": [], "spatial": []}
    for module in network.modules():
        if isinstance(module, nn.Linear):
            kind = "classifier"
        elif isinstance(module, PaddedConv3d) and max(module.kernel_size) == 1:
            kind = "pointwise"
        else:
            kind = "spatial"
        kinds[kind].extend(one for one in module.parameters(recurse=False) if one.requires_grad)
    rates = {
        "classifier": settings.lr,
        "pointwise": settings.lr_pointwise or settings.lr,
        "spatial": settings.lr_spatial or settings.lr,
    }
    return [{"params": kinds[kind], "lr": rates[kind], "name": kind} for kind in kinds if kinds[kind]]


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser that `train.optimizer` names, over the parameters that are trained."""
    groups, decay = parameter_groups(network, settings), settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=decay)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=decay)


class RateFactor:
    """The factor on the learning rate at each step.

    It rises linearly to 1 over the warm-up. Then: `cosine` falls to 0 at the last step, `step` falls by
    `factor` every `step_epochs` epochs, `constant` stays.

    An object and not a function, so that a checkpoint holds its numbers: a training that goes on for more
    epochs than were planned keeps the warm-up that it had.
    """

    def __init__(self, settings: TrainSettings, steps: int) -> None:
        """Plan for `steps` steps over `settings.epochs` epochs."""
        self.schedule = settings.schedule
        self.steps = steps
        self.warm = warmup_steps(settings, steps)
        self.fall_every = settings.step_epochs * max(1, steps // max(1, settings.epochs))
        self.factor = settings.factor

    def __call__(self, step: int) -> float:
        """Return the factor at `step`, counted from 0."""
        if step < self.warm:
            return (step + 1) / self.warm
        if self.schedule == "cosine":
            done = (step - self.warm) / max(1, self.steps - self.warm)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        if self.schedule == "step":
            return self.factor ** (step // self.fall_every)
        return 1.0


def warmup_steps(settings: TrainSettings, steps: int) -> int:
    """Return the steps in which the rate rises, at least 1."""
    return max(1, round(settings.warmup * steps))


def make_schedule(optimizer: torch.optim.Optimizer, settings: TrainSettings, steps: int) -> LRScheduler:
    """Return what changes the rate at each step: all of it, but what a plateau does."""
    if settings.schedule == "plateau":
        # Not a factor on the first rate, which would undo what the plateau does to the present one.
        warm = warmup_steps(settings, steps)
        return LinearLR(optimizer, start_factor=1 / warm, total_iters=warm - 1)
    factor = RateFactor(settings, steps)
    return LambdaLR(optimizer, [factor] * len(optimizer.param_groups))


def make_plateau(optimizer: torch.optim.Optimizer, settings: TrainSettings) -> ReduceLROnPlateau | None:
    """Return what lets the rate fall after epochs without gain, where `schedule` is `plateau`."""
    if settings.schedule != "plateau":
        return None
    return ReduceLROnPlateau(
        optimizer,
        mode_of(settings.monitor),
        factor=settings.factor,
        patience=settings.plateau_patience,
        threshold=settings.min_delta,
        threshold_mode="abs",
    )
