"""Channels that can only leave together: those of a residual sum, of two fused streams, of a gate.

Found by tracing the network with torch-pruning's dependency graph [DepGraph, Fang et al. 2023,
arXiv 2301.12900]. What the tracer cannot read, because it mixes places or looks at all channels at once, is
shown to it as what it is to a channel.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from vedette_edge.manifest import InputSpec
from vedette_train.anomaly import detectors
from vedette_train.models import dual_stream_head
from vedette_train.models.dual_stream_layers import Cbam3d
from vedette_train.models.pooling import grid_means
from vedette_train.settings import refuse_unknown_beginnings
from vedette_train.slim.cut import CUTTABLE, is_depthwise, width

__all__ = ["Group", "Member", "as_it_was", "find_groups", "groups_of"]

_ROOTS = (nn.Conv2d, nn.Conv3d, nn.Linear)
_WITH_GRIDS = (dual_stream_head, detectors)
_SIDE = 64  # pixels that are enough to trace a network


@dataclass(frozen=True, slots=True)
class Member:
    """One side of one layer in a group.

    Attributes:
        layer: its name.
        side: "outputs" for what writes the channels (or scales them, as batch norm does), "inputs" for what
            reads them.
        index: channels of the layer.
        channel: for each of these, the group's channel that it belongs to.
    """

    layer: str
    side: str
    index: tuple[int, ...]
    channel: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share channels.

    Attributes:
        name: the first layer that writes them.
        channels: how many.
        members: all that must be cut together.
    """

    name: str
    channels: int
    members: tuple[Member, ...]


def groups_of(network: nn.Module, spec: InputSpec, keep: Sequence[str] = ()) -> list[Group]:
    """Return the channels that may leave a classifier.

    Args:
        network: maps clips of the input to logits; as it was when this returns.
        spec: its input; a small clip of it is enough.
        keep: beginnings of names of layers that keep their width.

    Raises:
        ConfigError: when no layer's name begins with one of `keep`.
    """
    side = (min(spec.height, _SIDE), min(spec.width, _SIDE))
    return find_groups(network, network, (1, spec.channels, spec.frames, *side), keep)


def find_groups(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    shape: Sequence[int],
    keep: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> list[Group]:
    """Return the channels that may leave a network: neither those of its input nor those of its output.

    Args:
        network: as it was when this returns.
        forward: how it is run.
        shape: of what `forward` takes.
        keep: beginnings of names of layers that keep their width.
        fixed: names of layers whose inputs are given and cannot change.

    Raises:
        ConfigError: when no layer's name begins with one of `keep`.
    """
    names = {module: name for name, module in network.named_modules()}
    refuse_unknown_beginnings(list(names.values()), keep, "keep")
    parameter = next(network.parameters())
    with as_it_was(network), _readable(), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # operators that the tracer does not know pass channels through
        graph = torch_pruning.DependencyGraph().build_dependency(
            network,
            torch.zeros(*shape, dtype=parameter.dtype, device=parameter.device),
            forward_fn=lambda _, x: forward(x),
        )
        found = [
            _group(graph, traced, names)
            for traced in graph.get_all_groups(root_module_types=_ROOTS)
            if not any(isinstance(item.dep.target.module, nn.Parameter) for item in traced)
        ]
    layers = dict(network.named_modules())
    places = {name: place for place, name in enumerate(layers)}
    groups = [group for group in found if _may_leave(group, layers, keep, fixed)]
    return sorted(groups, key=lambda group: places[group.name])


def _group(graph: Any, traced: Any, names: dict[nn.Module, str]) -> Group:
    """Return what torch-pruning found, without the operators that have no weights."""
    members = []
    for item in traced:
        layer, change = item.dep.target.module, item.dep.handler
        if layer in names and (isinstance(layer, CUTTABLE) or list(layer.parameters(recurse=False))):
            # Of layers whose outputs are their inputs, both hold.
            writes = graph.is_out_channel_pruning_fn(change)
            side = "outputs" if writes else "inputs"
            members.append(Member(names[layer], side, tuple(item.idxs), tuple(item.root_idxs)))
    order = {name: place for place, name in enumerate(names.values())}
    writers = [member.layer for member in members if member.side == "outputs"]
    return Group(min(writers, key=order.__getitem__), len(traced[0].idxs), tuple(members))


def _may_leave(group: Group, layers: dict[str, nn.Module], keep: Sequence[str], fixed: Sequence[str]) -> bool:
    readers = [member.layer for member in group.members if member.side == "inputs"]
    writers = [member.layer for member in group.members if member.side == "outputs"]
    if not readers or set(readers) & set(fixed) or any(name.startswith(tuple(keep)) for name in writers):
        return False
    return group.channels > 1 and all(
        _is_divided(group, member, layers[member.layer]) for member in group.members
    )


def _is_divided(group: Group, member: Member, layer: nn.Module) -> bool:
    """Tell whether the layer can be cut, and each of its channels belongs to one of the group's."""
    if not isinstance(layer, CUTTABLE) or (getattr(layer, "groups", 1) > 1 and not is_depthwise(layer)):
        return False
    index, channels = member.index, set(member.channel)
    once = len(set(index)) == len(index) and max(index) < width(layer, member.side)
    return once and channels == set(range(group.channels))


@contextmanager
def as_it_was(network: nn.Module) -> Iterator[None]:
    """Evaluate with gradients of all parameters in the block, and give modes and frozen parameters back."""
    modes = {module: module.training for module in network.modules()}
    frozen = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    try:
        network.eval().requires_grad_(True)
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter in frozen:
            parameter.requires_grad_(False)


class _ByPlace(torch.autograd.Function):
    """A step from x to y that changes places but no channels, as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        del ctx, x
        return y.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        raise NotImplementedError("only read, never run")


@contextmanager
def _readable() -> Iterator[None]:
    """Show the tracer means over a grid as one step, and the spatial attention as given from outside.

    The grid's matrix products mix places only. The spatial attention looks at mean and maximum over all
    channels, so it belongs to none of them.
    """
    attention = Cbam3d.spatial_attention

    def grid(x: Tensor, rows: int, columns: int) -> Tensor:
        with torch.no_grad():
            means = grid_means(x, rows, columns)
        return _ByPlace.apply(x, means)  # type: ignore[no-any-return, no-untyped-call]

    for module in _WITH_GRIDS:
        module.grid_means = grid  # type: ignore[attr-defined]
    Cbam3d.spatial_attention = torch.no_grad()(attention)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in _WITH_GRIDS:
            module.grid_means = grid_means  # type: ignore[attr-defined]
        Cbam3d.spatial_attention = attention  # type: ignore[method-assign]
