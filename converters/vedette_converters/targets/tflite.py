"""LiteRT: a lowered graph as one .tflite file, by litert_torch; fp16 and int8 by ai-edge-quantizer.

The signature `serving_default` has the names of the graph's inputs and outputs, all of them float32 whatever
the precision: an int8 model quantises what it is given and gives back floats. Its operators are named after
the layers that their weights belong to, as in `network.named_modules()`, and after nothing of this machine.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from vedette_converters.graph import Feed, Graph, next_name
from vedette_converters.quiet import quiet
from vedette_converters.targets import Model
from vedette_edge.errors import BundleError
from vedette_edge.manifest import Precision, StateTensor

os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
with quiet():
    import litert_torch
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffers

__all__ = ["build"]

_SIGNATURE = "serving_default"  # as litert_torch names it
_ALL, _INPUT, _OUTPUT = (qtyping.TFLOperationName[name] for name in ("ALL_SUPPORTED", "INPUT", "OUTPUT"))
_Algorithm = algorithm_manager.AlgorithmName
_Order: TypeAlias = tuple[int, int, int, int]
_LAST: _Order = (0, 2, 3, 1)  # of channels first, to have channels last
_FIRST: _Order = (0, 3, 1, 2)  # and back

def build(graph: Graph, precision: Precision, feeds: Sequence[Feed], keep_float: Collection[str]) -> Model:
    """Write a graph for LiteRT; see `Target.build`.

    fp16 stores the weights in halves; how it computes is the runtime's choice. int8 gives all frames of a layer
    one range, as the 3D layer would have: the unrolled frames share their biases, and none has to be scaled
    again to meet another.
    """
    floating = _converted(graph)
    model = floating.model
    with quiet():
        if precision == "fp16":
            model = _halved(model)
        elif precision == "int8":
            carried = _carried_pictures(graph)
            turned = [
                {name: np.moveaxis(x, 1, -1) if name in carried else x for name, x in feed.items()}
                for feed in feeds
            ]
            model = _quantised(floating, turned, keep_float)
    return Model(((".tflite", model),), state=_state(graph))


@dataclass(frozen=True, slots=True)
class _Floating:
    """A .tflite file with the layers whose operators give an output: those have the output's name."""

    model: bytes
    givers: dict[str, tuple[str, ...]]


@lru_cache(maxsize=1)  # the precisions of one graph, and the tries of int8, follow each other
def _converted(graph: Graph) -> _Floating:
    examples = {name: example[:1] for name, example in graph.examples.items()}
    with quiet():
        try:
            program = torch.export.export(graph.module, tuple(examples.values()))
        except Exception as error:  # torch.export raises classes of its own that share no public base
            raise BundleError(f"this network cannot be traced for LiteRT: {_first_line(error)}") from error
        module = _Labelled(program, graph)
        _refuse_3d(module.graph)
        try:
            inputs = _permuted(examples, _carried_pictures(graph), _LAST)
            converted = litert_torch.convert(module, sample_kwargs=inputs)
            return _Floating(bytes(converted._exporter.to_bytes()), module.givers)
        except Exception as error:  # as above
            raise _refusal(error, module.graph) from error


class _Labelled(nn.Module):
    """A traced graph that gives its outputs by name, its operators labelled with their layers.

    litert_torch names an operator after the modules that it was called in, which for a graph that was rewritten
    say nothing, and which else are class names of ours.
    """

    def __init__(self, program: ExportedProgram, graph: Graph) -> None:
        super().__init__()
        self.traced = program.module()
        self.graph: fx.Graph = self.traced.graph
        self.outputs = graph.outputs
        self.carried = _carried_pictures(graph)
        self.training = False
        found = _layers(self.graph)
        (given,) = self.graph.output_node().args
        self.givers = {name: found.get(node, ()) for name, node in zip(graph.outputs, given, strict=True)}
        for node, layers in found.items():
            node.meta["nn_module_stack"] = {"": ("", ";".join(layers))}
            node.meta.pop("stack_trace", None)

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        with fx.traceback.preserve_node_meta():
            values = _Run(self.traced).run(*_permuted(inputs, self.carried, _FIRST).values())
        return _permuted(dict(zip(self.outputs, values, strict=True)), self.carried, _LAST)


def _carried_pictures(graph: Graph) -> set[str]:
    """Return the names of the state tensors (1, C, H, W), as inputs and as outputs.

    LiteRT computes with channels last: state with channels first would be turned around several times a layer.
    """
    names = [tensor.name for tensor in graph.state if len(tensor.shape) == 4]
    return {*names, *map(next_name, names)}


def _permuted(tensors: Mapping[str, Tensor], names: Collection[str], order: _Order) -> dict[str, Tensor]:
    """Put the axes of those that are named into another order."""
    return {name: value.permute(order) if name in names else value for name, value in tensors.items()}


def _state(graph: Graph) -> tuple[StateTensor, ...]:
    """Return the state as the file has it."""
    carried = _carried_pictures(graph)
    return tuple(
        tensor.model_copy(update={"shape": tuple(tensor.shape[axis] for axis in _LAST)})
        if tensor.name in carried
        else tensor
        for tensor in graph.state
    )


class _Run(fx.Interpreter):
    """Runs a traced graph but for its only submodule, the guard on the shapes, which are fixed here."""

    def call_module(self, target: Any, args: Any, kwargs: Any) -> None:
        del target, args, kwargs


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


def _origin(node: fx.Node, layers: dict[fx.Node, tuple[str, ...]]) -> str:
    return " and ".join(f"'{layer}'" for layer in layers.get(node, ()) if layer) or "no layer with weights"


def _refuse_3d(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if node.op == "call_function" and "3d" in _operator(node):
            raise BundleError(
                f"LiteRT computes pictures, and {_origin(node)} of this network is {_operator(node)}: lower the "
                "network to 2D operators first"
            )


def _refusal(error: Exception, graph: fx.Graph) -> BundleError:
    """Say what litert_torch could not write, and where it stands in the network, if that can be known."""
    missing = re.search(r"Lowering not found: (?:aten\.)?([\w.]+)", str(error))
    if missing is None:
        return BundleError(f"this network cannot be written for LiteRT: {_first_line(error)}")
    operator = missing[1].partition(".")[0]
    origins = [_origin(node) for node in graph.nodes if _operator(node) == operator]
    return BundleError(
        f"LiteRT has no operator {operator}, which {origins[0] if origins else 'this network'} needs: write it "
        "with other operators, or leave LiteRT out"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _halved(model: bytes) -> bytes:
    recipe = recipe_manager.RecipeManager()
    recipe.add_weight_only_config(
        ".*",
        _ALL,
        num_bits=16,
        granularity=qtyping.QuantGranularity.TENSORWISE,
        algorithm_key=_Algorithm.FLOAT_CASTING,
    )
    return _written(quantizer.Quantizer(bytearray(model), recipe.get_quantization_recipe()), None)


def _quantised(floating: _Floating, feeds: Sequence[Feed], keep_float: Collection[str]) -> bytes:
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _ALL, activation_num_bits=8, weight_num_bits=8)
    for operator in (_INPUT, _OUTPUT):
        recipe.add_quantization_config(".*", operator, algorithm_key=_Algorithm.NO_QUANTIZE)
    for layer in sorted(keep_float):
        given = [name for name, layers in floating.givers.items() if layer in layers]
        for scope in (f"(^|;){re.escape(layer)};", *(f"^{_SIGNATURE}_{name}_output" for name in given)):
            recipe.add_quantization_config(scope, _ALL, algorithm_key=_Algorithm.NO_QUANTIZE)
    work = quantizer.Quantizer(bytearray(floating.model), recipe.get_quantization_recipe())
    ranges = work.calibrate({_SIGNATURE: [dict(feed) for feed in feeds]}, num_threads=torch.get_num_threads())
    return _written(work, _shared_ranges(ranges, floating.model))


def _written(work: quantizer.Quantizer, ranges: dict[str, Any] | None) -> bytes:
    result = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _shared_ranges(ranges: dict[str, Any], model: bytes) -> dict[str, Any]:
    """Widen the ranges of tensors that are one tensor of the 3D network, frame by frame, to their common one."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for name, role in _roles(flatbuffers.read_model(model)):
        if ranges.get(name):
            groups[role].append(name)
    shared = dict(ranges)
    for names in groups.values():
        low = min(ranges[name]["min"].min() for name in names)
        high = max(ranges[name]["max"].max() for name in names)
        for name in names:
            found = ranges[name]
            shared[name] = {
                **found,
                "min": np.full_like(found["min"], low),
                "max": np.full_like(found["max"], high),
            }
    return shared


_MOVES = {"PAD", "SLICE", "STRIDED_SLICE", "RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT"}


def _roles(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each computed tensor's name with its role: frames of one tensor of the 3D network have the same.

    What a layer gives has the role of the layer, its operator and its activation; what is only moved keeps its
    role; anything else has the role of its operator on the roles of what it takes.
    """
    (graph,) = model.subgraphs
    roles: dict[int, Any] = {index: ("input", index) for index in graph.inputs}
    yield from ((graph.tensors[index].name.decode(), role) for index, role in roles.items())
    for operation in graph.operators:
        kind = flatbuffers.TFL_OP_CODE_TO_NAME.get(
            model.operatorCodes[operation.opcodeIndex].builtinCode, "other"
        )
        activation = getattr(operation.builtinOptions, "fusedActivationFunction", 0)
        taken = frozenset(roles[index] for index in operation.inputs if index in roles)
        for index in operation.outputs:
            name = graph.tensors[index].name.decode()
            layers = frozenset(filter(None, name.split(";")[:-1]))
            if kind in _MOVES and len(taken) == 1:
                (roles[index],) = taken
            else:
                roles[index] = (kind, activation, layers or taken)
            yield name, roles[index]
