"""Batch normalisation in evaluation mode is a scale and an offset: both go into the convolution before it.

Runtimes fold it by themselves where they see it right behind a convolution; after lowering they would not.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["fold_batch_norm"]

_ATEN = torch.ops.aten
_CONVOLUTIONS = {_ATEN.conv2d.default, _ATEN.conv3d.default}


@torch.no_grad()
def fold_batch_norm(program: fx.GraphModule) -> None:
    """Fold each batch norm of an exported program into the convolution before it, in place.

    The folded weights are new buffers of the layer, `folded_weight` and `folded_bias`; those of the network
    are not touched.
    """
    for norm in list(program.graph.nodes):
        if norm.target is not _ATEN.batch_norm.default:
            continue
        conv = norm.args[0]
        if conv.target in _CONVOLUTIONS and len(conv.users) == 1:
            _fold(program, conv, norm)
    program.graph.eliminate_dead_code()
    program.recompile()


def _fold(program: fx.GraphModule, conv: fx.Node, norm: fx.Node) -> None:
    weight, bias = conv.args[1], conv.args[2] if len(conv.args) > 2 else None
    scale, offset, mean, variance = norm.args[1:5]
    eps = norm.args[7]
    assert isinstance(weight, fx.Node)
    assert isinstance(eps, float)
    folded = fuse_conv_bn_weights(
        _value(program, weight),
        _value(program, bias),
        _value(program, mean),
        _value(program, variance),
        eps,
        _value(program, scale),
        _value(program, offset),
    )
    layer = str(weight.target).rpartition(".")[0]
    with program.graph.inserting_before(conv):
        nodes = []
        for name, tensor in zip(("folded_weight", "folded_bias"), folded, strict=True):
            program.get_submodule(layer).register_buffer(name, tensor.detach())
            nodes.append(program.graph.get_attr(f"{layer}.{name}"))
            nodes[-1].meta["val"] = tensor.detach()
    conv.args = (conv.args[0], *nodes, *conv.args[3:])
    norm.replace_all_uses_with(conv)
    program.graph.erase_node(norm)


def _value(program: nn.Module, node: object) -> Any:
    """Return the tensor that a node stands for; None for no node."""
    if node is None:
        return None
    assert isinstance(node, fx.Node)
    return attrgetter(str(node.target))(program)
