"""Channels of a group held at zero while training, so that at its end they can leave without a trace."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vedette_edge.manifest import InputSpec
from vedette_train.slim.groups import Group, groups_of
from vedette_train.slim.importance import importances

__all__ = ["GroupChannels", "group_channels"]


class GroupChannels:
    """The channels of a group: a `prune.Prunable` that silences all layers that share them."""

    def __init__(self, network: nn.Module, group: Group) -> None:
        """Mask `group` of `network`."""
        self._network, self._group = network, group
        self.channels = group.channels

    def weakest(self, count: int) -> Tensor:
        """Return which `count` channels have the smallest L2 norm over all layers: (C,) bool."""
        (scores,) = importances(self._network, [self._group], "l2")
        mask = torch.zeros(self.channels, dtype=torch.bool)
        mask[torch.argsort(scores, stable=True)[:count]] = True
        return mask

    @torch.no_grad()
    def silence(self, mask: Tensor) -> None:
        """Set what writes and what reads the masked channels to zero."""
        dead = set(torch.nonzero(mask)[:, 0].tolist())
        for member in self._group.members:
            layer = self._network.get_submodule(member.layer)
            gone = [i for i, channel in zip(member.index, member.channel, strict=True) if channel in dead]
            for tensor in layer.parameters(recurse=False):
                if member.side == "outputs":
                    tensor[gone] = 0.0
                elif tensor.ndim > 1:
                    tensor[:, gone] = 0.0


def group_channels(network: nn.Module, spec: InputSpec) -> Mapping[str, GroupChannels]:
    """Return the channels of a classifier that may leave, by the group's name."""
    return {group.name: GroupChannels(network, group) for group in groups_of(network, spec)}
