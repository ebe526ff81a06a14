"""Names of an ONNX graph's nodes that say which layer each comes from: `features.0.conv/Conv_12`.

The names outlast optimisation, quantisation and OpenVINO's reader, so a layer is found again in all of them.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

import onnx_ir as ir

from vedette_converters.graph import lies_in

__all__ = ["layer_of", "name_nodes", "nodes_of"]

_NETWORK = "network."
_SEPARATOR = "/"
_SCOPES = "pkg.torch.onnx.name_scopes"


def name_nodes(model: ir.Model) -> None:
    """Name every node after its layer, in place.

    The layer is that of its weights, also where other nodes shape them first; of a node without weights it is
    the one that it was named after before, or the module that the exporter noted. Where none is known, the
    name has no layer.
    """
    owners = {value: _layer(name.rpartition(".")[0]) for name, value in model.graph.initializers.items()}
    for number, node in enumerate(model.graph):
        inputs = [value for value in node.inputs if value is not None]
        layer = next((owners[value] for value in inputs if owners.get(value)), "") or _noted(node)
        if all(value in owners for value in inputs):
            owners.update(dict.fromkeys(node.outputs, layer))
        node.name = f"{layer}{_SEPARATOR}{node.op_type}_{number}"


def layer_of(node: str) -> str:
    """Return the layer that a named node comes from; empty where that is unknown."""
    return node.partition(_SEPARATOR)[0]


def nodes_of(nodes: Iterable[str], layers: Collection[str]) -> list[str]:
    """Return the nodes of some layers, and of the layers in them.

    Args:
        nodes: names that `name_nodes` gave, or that begin with them.
        layers: as in `network.named_modules()`; a graph may have lost all nodes of one, such as those of a
            bias of zeros.
    """
    return sorted({node for node in nodes if any(lies_in(layer_of(node), layer) for layer in layers)})


def _layer(path: str) -> str:
    """Return the part of a module's path that lies in the network."""
    return path.partition(_NETWORK)[2]


def _noted(node: ir.Node) -> str:
    if _SEPARATOR in (node.name or ""):
        return layer_of(node.name or "")
    scopes: list[str] = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    return _layer(scopes[-2]) if len(scopes) > 1 else ""  # the last one is the node's own
