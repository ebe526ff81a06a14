"""How much each channel of a group matters, by all the weights that would leave with it.

Scores are relative to their group's mean, so that layers of different size can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vedette_train.slim.groups import Group, Member

__all__ = ["importances", "slices", "taylor_importances"]

_POWERS = {"l1": 1, "l2": 2}


def importances(network: nn.Module, groups: Sequence[Group], kind: str) -> list[Tensor]:
    """Return the scores of each group's channels from the weights alone.

    Args:
        network: whose channels they are.
        groups: see `groups.find_groups`.
        kind: "l1" or "l2": the sum over the group's layers of the weights' absolute values or squares
            [Li et al. 2017, arXiv 1608.08710; over groups Fang et al. 2023, arXiv 2301.12900]. "bn": the
            scale of batch norm [Liu et al. 2017, arXiv 1708.06519]; "l2" for groups without any.

    Returns:
        (C,) float32 for each group, on the CPU; their mean is 1.
    """
    layers = dict(network.named_modules())
    return [_relative(_magnitude(group, layers, kind)) for group in groups]


def taylor_importances(network: nn.Module, groups: Sequence[Group], losses: Iterable[Tensor]) -> list[Tensor]:
    """Return how much the loss would change without each channel, to first order, squared.

    (sum of weight times gradient)^2, the mean over batches and the sum over the group's layers
    [Molchanov et al. 2019, arXiv 1906.10771].

    Args:
        network: whose channels they are; all its parameters need gradients. They are left without.
        groups: see `groups.find_groups`.
        losses: of the batches, each computed when it is asked for.

    Returns:
        (C,) float32 for each group, on the CPU; their mean is 1.
    """
    layers = dict(network.named_modules())
    totals = [torch.zeros(group.channels) for group in groups]
    for loss in losses:
        network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for total, group in zip(totals, groups, strict=True):
            for member in group.members:
                weight = layers[member.layer].weight
                if isinstance(weight, nn.Parameter) and weight.grad is not None:
                    change = slices(weight.detach() * weight.grad, member).sum(dim=1).square()
                    _add(total, member, change)
    network.zero_grad(set_to_none=True)
    return [_relative(total) for total in totals]


def slices(tensor: Tensor, member: Member) -> Tensor:
    """Return what of a layer's weight belongs to each channel of a member, as rows: (channels, ...)."""
    along = tensor.transpose(0, 1) if member.side == "inputs" else tensor
    return along[list(member.index)].flatten(1) if along.ndim > 1 else along[list(member.index), None]


@torch.no_grad()
def _magnitude(group: Group, layers: dict[str, nn.Module], kind: str) -> Tensor:
    members = [member for member in group.members if isinstance(layers[member.layer].weight, Tensor)]
    if kind == "bn":
        norms = [member for member in members if isinstance(layers[member.layer], _BatchNorm)]
        members, kind = (norms, "l1") if norms else (members, "l2")
    total = torch.zeros(group.channels)
    for member in members:
        weight = layers[member.layer].weight
        assert isinstance(weight, Tensor)
        _add(total, member, slices(weight, member).abs().pow(_POWERS[kind]).sum(dim=1))
    return total


def _add(total: Tensor, member: Member, values: Tensor) -> None:
    total.index_add_(0, torch.tensor(member.channel), values.float().cpu())


def _relative(scores: Tensor) -> Tensor:
    return scores / scores.mean().clamp(min=torch.finfo(scores.dtype).tiny)
