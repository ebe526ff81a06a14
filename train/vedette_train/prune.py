"""Structured pruning while training: the weakest output channels of each convolution are held at zero.

A channel is as strong as the L2 norm of its kernel [Li et al., 2017, arXiv 1608.08710, there L1]; the
masked share rises along a ramp [Zhu and Gupta, 2017, arXiv 1710.01878, there cubic]. At every epoch the
masked share *is* the ramp's: masked channels are zero, therefore the weakest, therefore masked again, so
the share never falls and never compounds. The names of the weights do not change, so a checkpoint of a
pruned network is one of the network.

With `remove`, not convolutions one by one are masked but the channels of all layers that share them
(`vedette_train.slim`), so that at the end of the training they leave without changing what the network gives.

`compounding` repeats a published defect for comparison: each step takes its share of the channels that
are left, and a ramp from 5 to 30 % takes 88 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from vedette_edge.errors import ConfigError
from vedette_train.recipe import PruneSettings, TrainSettings

__all__ = [
    "Prunable",
    "Pruning",
    "check_ramp",
    "convolutions",
    "first_complete_epoch",
    "masked_channels",
    "prunable",
    "target_share",
    "weakest",
    "zero_channels",
]


Convolution: TypeAlias = nn.Conv2d | nn.Conv3d


def target_share(settings: PruneSettings, epoch: int) -> float:
    """Return the share of channels, 0..1, to be masked in an epoch, counted from 0."""
    if epoch < settings.warmup:
        return 0.0
    done = min(1.0, (epoch - settings.warmup) / settings.epochs)
    return settings.start + (settings.end - settings.start) * done


def first_complete_epoch(settings: PruneSettings | None) -> int:
    """Return the first epoch, from 0, in which all is masked that will be: from here weights may be kept."""
    return 0 if settings is None else settings.warmup + settings.epochs


def check_ramp(settings: TrainSettings) -> None:
    """Raise where the training would end before the ramp, or the ramp falls.

    Raises:
        ConfigError: with the numbers.
    """
    prune = settings.prune
    if prune is None:
        return
    if prune.end < prune.start:
        raise ConfigError(f"train.prune: end {prune.end} is below start {prune.start}; masks never fall")
    if (needed := first_complete_epoch(prune) + 1) > settings.epochs:
        raise ConfigError(
            f"train.prune reaches its end in epoch {needed} (warmup {prune.warmup}, epochs {prune.epochs}), "
            f"but train.epochs is {settings.epochs}; raise it, or shorten the ramp"
        )


def masked_channels(settings: PruneSettings, epoch: int, channels: int, masked: int) -> int:
    """Return how many of a layer's channels are masked in an epoch.

    Args:
        settings: the ramp.
        epoch: counted from 0.
        channels: output channels of the layer.
        masked: how many are masked before.

    Returns:
        The target share of `channels`, rounded; never fewer than before, never all.
    """
    share = target_share(settings, epoch)
    if not settings.compounding:
        wanted = round(share * channels)
    elif epoch <= first_complete_epoch(settings):
        wanted = masked + round(share * (channels - masked))
    else:
        wanted = masked
    return max(masked, min(wanted, channels - 1))


def weakest(weight: Tensor, count: int) -> Tensor:
    """Return which `count` channels of a kernel (O, ...) have the smallest L2 norm: (O,) bool."""
    norms = torch.linalg.vector_norm(weight.detach().flatten(1), dim=1)
    mask = torch.zeros(len(norms), dtype=torch.bool, device=weight.device)
    # Stable, so that processes and resumed trainings agree where norms are equal.
    mask[torch.argsort(norms, stable=True)[:count]] = True
    return mask


def prunable(network: nn.Module) -> dict[str, Convolution]:
    """Return the convolutions that may be pruned, by name.

    A module with the attribute `prunable = False` keeps all that is in it: attention weighs channels that
    must all be there.
    """
    return dict(_walk(network, ""))


def _walk(module: nn.Module, name: str) -> Iterator[tuple[str, Convolution]]:
    if getattr(module, "prunable", True) is False:
        return
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        yield name, module
    for child_name, child in module.named_children():
        yield from _walk(child, f"{name}.{child_name}" if name else child_name)


def zero_channels(network: nn.Module) -> tuple[int, int]:
    """Return how many channels of the prunable convolutions are zero, and how many there are."""
    convolutions = prunable(network).values()
    zero = sum(int((conv.weight.flatten(1) == 0).all(dim=1).sum()) for conv in convolutions)
    return zero, sum(conv.out_channels for conv in convolutions)


class Prunable(Protocol):
    """Channels that can be masked.

    Attributes:
        channels: how many, C.
    """

    channels: int

    def weakest(self, count: int) -> Tensor:
        """Return which `count` channels matter least, masked ones first: (C,) bool."""
        ...

    def silence(self, mask: Tensor) -> None:
        """Set the channels of a mask (C,) to zero."""
        ...


class _Convolution:
    """The output channels of one convolution."""

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.channels = conv.out_channels

    def weakest(self, count: int) -> Tensor:
        return weakest(self._conv.weight, count)

    @torch.no_grad()
    def silence(self, mask: Tensor) -> None:
        conv = self._conv
        conv.weight[mask.to(conv.weight.device)] = 0.0
        if conv.bias is not None:
            conv.bias[mask.to(conv.bias.device)] = 0.0


def convolutions(network: nn.Module) -> Mapping[str, Prunable]:
    """Return the output channels of the prunable convolutions, by name."""
    return {name: _Convolution(conv) for name, conv in prunable(network).items()}


class Pruning(Callback):
    """Masks the network of a `ClipClassifier` while it is trained, and logs the masked share, `pruned`."""

    def __init__(
        self,
        settings: PruneSettings,
        find: Callable[[nn.Module], Mapping[str, Prunable]] = convolutions,
    ) -> None:
        """Follow the ramp of `settings` on what `find` finds in the network."""
        self._settings = settings
        self._find = find
        self._found: Mapping[str, Prunable] = {}
        self._masks: dict[str, Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find what can be masked."""
        del trainer
        self._found = self._find(_network(pl_module))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the epoch's channels and mask them."""
        del pl_module
        for name, unit in self._found.items():
            before = int(self._masks[name].sum()) if name in self._masks else 0
            count = masked_channels(self._settings, trainer.current_epoch, unit.channels, before)
            if count > before:
                self._masks[name] = unit.weakest(count)
        self._apply()

    def on_train_batch_end(self, *_: Any) -> None:
        """Undo what the optimiser did to masked channels."""
        self._apply()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the masked share."""
        del trainer
        masked = sum(int(mask.sum()) for mask in self._masks.values())
        pl_module.log("pruned", masked / sum(unit.channels for unit in self._found.values()))

    def state_dict(self) -> dict[str, Any]:
        """Return the masks, for the checkpoint."""
        return {name: mask.cpu() for name, mask in self._masks.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the masks of a checkpoint."""
        self._masks = dict(state_dict)

    def _apply(self) -> None:
        for name, mask in self._masks.items():
            self._found[name].silence(mask)


def _network(module: L.LightningModule) -> nn.Module:
    network = module.network
    assert isinstance(network, nn.Module)
    return network
