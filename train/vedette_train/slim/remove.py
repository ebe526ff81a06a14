"""Removes channels from a network: finds what goes together, ranks it, cuts it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import InputSpec
from vedette_train.slim.choose import channels_to_keep
from vedette_train.slim.cut import cut, width
from vedette_train.slim.groups import Group, as_it_was, groups_of
from vedette_train.slim.importance import importances, taylor_importances
from vedette_train.slim.record import KeptChannels, Slimming, layers_of
from vedette_train.slim.settings import SlimSettings

__all__ = ["remove_silent", "slim", "slim_groups"]

_CHANGE_IN_TRAINING = (_NormBase, nn.Dropout)


def slim(
    network: nn.Module,
    spec: InputSpec,
    settings: SlimSettings,
    data: Iterable[Sequence[Tensor]] | None = None,
) -> Slimming:
    """Remove the least important channels of a classifier, in place.

    Args:
        network: maps clips of the input to logits; its modes and frozen parameters stay as they are.
        spec: its input.
        settings: how many, and by which importance.
        data: batches (clips, labels, ...) of the training part, for importance "taylor".

    Returns:
        What was kept; `cut` repeats it.

    Raises:
        ConfigError: when `settings.keep` names no layer, or "taylor" has no data.
    """
    groups = groups_of(network, spec, settings.keep)
    return slim_groups(network, groups, settings, _losses(network, data) if data else None)


def slim_groups(
    network: nn.Module, groups: Sequence[Group], settings: SlimSettings, losses: Iterable[Tensor] | None
) -> Slimming:
    """Remove the least important channels of groups, in place; see `slim`.

    Args:
        network: any.
        groups: its groups.
        settings: how many, and by which importance.
        losses: of some batches, each computed when it is asked for; for importance "taylor".

    Raises:
        ConfigError: when "taylor" has no losses.
    """
    if settings.importance != "taylor":
        scores = importances(network, groups, settings.importance)
    elif losses is None:
        raise ConfigError("importance taylor needs training data for its gradients; use l1, l2 or bn")
    else:
        scores = _taylor(network, groups, losses)
    slimming = _record(network, groups, channels_to_keep(scores, settings))
    cut(network, slimming)
    return slimming


def remove_silent(network: nn.Module, groups: Sequence[Group]) -> Slimming:
    """Remove the channels whose every weight is zero, in place: what the network gives does not change.

    Args:
        network: any.
        groups: its groups; each keeps at least one channel.
    """
    scores = importances(network, groups, "l1")
    kept = [tuple(torch.nonzero(one)[:, 0].tolist()) or (0,) for one in scores]
    slimming = _record(network, groups, kept)
    cut(network, slimming)
    return slimming


def _record(network: nn.Module, groups: Sequence[Group], kept: Sequence[tuple[int, ...]]) -> Slimming:
    """Return the record that keeps these channels of each group."""
    layers = dict(network.named_modules())
    lost: dict[tuple[str, str], set[int]] = {}
    for group, channels in zip(groups, kept, strict=True):
        if len(channels) == group.channels:
            continue
        stays = set(channels)
        for member in group.members:
            gone = {
                i for i, channel in zip(member.index, member.channel, strict=True) if channel not in stays
            }
            lost.setdefault((member.layer, member.side), set()).update(gone)
    return Slimming(
        layers=layers_of(
            {
                (name, side): KeptChannels(
                    of=width(layers[name], side),
                    kept=tuple(i for i in range(width(layers[name], side)) if i not in gone),
                )
                for (name, side), gone in lost.items()
            }
        )
    )


def _losses(network: nn.Module, data: Iterable[Sequence[Tensor]]) -> Iterator[Tensor]:
    device = next(network.parameters()).device
    for clips, labels, *_ in data:
        yield F.cross_entropy(network(clips.to(device)).float(), labels.to(device))


def _taylor(network: nn.Module, groups: Sequence[Group], losses: Iterable[Tensor]) -> list[Tensor]:
    with as_it_was(network), torch.enable_grad():
        for module in network.modules():
            # As evaluated, yet by the layers' faster ways to train.
            module.training = not isinstance(module, _CHANGE_IN_TRAINING)
        return taylor_importances(network, groups, losses)
