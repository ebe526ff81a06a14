"""Writes LiteRT models: a traced graph by litert_torch; its other precisions by ai-edge-quantizer.

It is imported where nothing is forked afterwards, because litert_torch brings JAX; see `targets.tflite`.

The signature `serving_default` has the names of the graph's inputs and outputs, all of them float32 whatever
the precision: an int8 model quantises what it is given and gives back floats. Its operators are named after
the layers that their weights belong to, as in `network.named_modules()`, and after nothing of this machine.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
from torch import Tensor, fx, nn

from vedette_converters.quiet import quiet
from vedette_converters.targets.litert_precisions import Floating, halved, quantised
from vedette_converters.targets.litert_request import CHANNELS_FIRST, CHANNELS_LAST, Order, Request, Traced
from vedette_edge.errors import BundleError

os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
with quiet():
    import litert_torch

__all__ = ["write"]


def write(traced: Traced, request: Request) -> bytes:
    """Return a traced graph as a .tflite file.

    Raises:
        BundleError: when LiteRT cannot express it: names the operator, the layer that it came from, and what
            to do.
    """
    floating = _converted(traced)
    with quiet():
        if request.precision == "fp16":
            return halved(floating.model)
        if request.precision == "int8":
            return quantised(floating, request.feeds, request.keep_float, request.threads)
    return floating.model


@lru_cache(maxsize=1)  # the precisions of one graph, and the tries of int8, follow each other
def _converted(traced: Traced) -> Floating:
    with quiet():
        module = _Labelled(traced)
        _refuse_3d(module.graph)
        try:
            examples = {name: torch.zeros(shape) for name, shape in traced.inputs}
            inputs = _permuted(examples, traced.carried, CHANNELS_LAST)
            converted = litert_torch.convert(module, sample_kwargs=inputs)
            return Floating(bytes(converted._exporter.to_bytes()), module.givers)
        except Exception as error:  # litert_torch raises classes of its own that share no public base
            raise _refusal(error, module.graph) from error


class _Labelled(nn.Module):
    """A traced graph that gives its outputs by name, its operators labelled with their layers.

    litert_torch names an operator after the classes of the modules that it was called in, which say nothing
    of a graph that was rewritten, and are of no use on a device.
    """

    def __init__(self, traced: Traced) -> None:
        super().__init__()
        self.traced = torch.export.load(io.BytesIO(traced.program)).module()
        self.graph: fx.Graph = self.traced.graph
        self.outputs = traced.outputs
        self.carried = traced.carried
        self.training = False
        found = _layers(self.graph)
        given = cast(Sequence[fx.Node], self.graph.output_node().args[0])
        self.givers = {name: found.get(node, ()) for name, node in zip(self.outputs, given, strict=True)}
        for node, layers in found.items():
            node.meta["nn_module_stack"] = {"": ("", ";".join(layers))}
            node.meta.pop("stack_trace", None)

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        with fx.traceback.preserve_node_meta():
            values = _Run(self.traced).run(*_permuted(inputs, self.carried, CHANNELS_FIRST).values())
        return _permuted(dict(zip(self.outputs, values, strict=True)), self.carried, CHANNELS_LAST)


def _permuted(tensors: Mapping[str, Tensor], names: Collection[str], order: Order) -> dict[str, Tensor]:
    """Put the axes of those that are named into another order."""
    return {name: value.permute(order) if name in names else value for name, value in tensors.items()}


class _Run(fx.Interpreter):
    """Runs a traced graph but for what litert_torch cannot trace and nothing needs.

    That is the only submodule, the guard on the shapes, which are fixed here; and the detaching, in place, of
    tensors that the network makes of Python's numbers.
    """

    def call_module(self, target: Any, args: Any, kwargs: Any) -> None:
        del target, args, kwargs

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target is torch.ops.aten.detach_.default:
            return args[0]
        return super().call_function(target, args, kwargs)


def _layers(graph: fx.Graph) -> dict[fx.Node, tuple[str, ...]]:
    """Return the layers whose weights each operator uses, as in `network.named_modules()`; often none."""
    constants: dict[fx.Node, tuple[str, ...]] = {}  # weights and what is computed from nothing else
    layers: dict[fx.Node, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            constants[node] = (_layer(str(node.target).rpartition(".")[0]),)
        elif node.op == "call_function":
            used = [constants[source] for source in node.all_input_nodes if source in constants]
            own = tuple(dict.fromkeys(layer for names in used for layer in names))
            if used and len(used) == len(node.all_input_nodes):
                constants[node] = own
            elif not used and _operator(node) == "add":  # the sum of the taps of one layer, or of its state
                agreed = {layers[source] for source in node.all_input_nodes if source in layers}
                own = agreed.pop() if len(agreed) == 1 else ()
            layers[node] = own
    return layers


def _layer(path: str) -> str:
    """Return a path below the graph's module as one below the network."""
    return path.partition("network.")[2] or path


def _operator(node: fx.Node) -> str:
    """Return "conv2d" for aten.conv2d.default."""
    return str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)


def _label(node: fx.Node) -> str:
    """Return the layers of an operator of a labelled graph."""
    return str(node.meta["nn_module_stack"][""][1])


def _origin(node: fx.Node) -> str:
    """Say where an operator stands in the network: its layer, or the last one before it."""
    if layers := _label(node):
        return f"layer '{layers}'"
    before = [_origin(source) for source in node.all_input_nodes if source.op == "call_function"]
    return next((f"what follows {text.removeprefix('what follows ')}" for text in before), "the input")


def _refuse_3d(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if node.op == "call_function" and "3d" in _operator(node):
            raise BundleError(
                f"LiteRT is given 2D operators only, and {_origin(node)} of this network needs "
                f"{_operator(node)}: lower the network to 2D operators first"
            )


def _refusal(error: Exception, graph: fx.Graph) -> BundleError:
    """Say what litert_torch could not write, and where it stands in the network, if that can be known."""
    missing = re.search(r"Lowering not found: (?:aten\.)?_*(\w+)", str(error))
    if missing is None:
        return BundleError(f"this network cannot be written for LiteRT: {_first_line(error)}")
    # An operator may have been taken to pieces: _linalg_svd is what is left of linalg_svdvals.
    origins = [_origin(node) for node in graph.nodes if _operator(node).lstrip("_").startswith(missing[1])]
    return BundleError(
        f"LiteRT has no operator {missing[1]}, which {origins[0] if origins else 'a step'} of this network "
        "needs: write it with other operators, or leave LiteRT out"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
