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
_PICTURE = 4  # axes
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_MOVES = {"PAD", "SLICE", "STRIDED_SLICE", "RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT"}

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
    operations = list(_operations(floating.model))
    for scope in (*_scopes(floating, keep_float), *_arithmetic(operations)):
        recipe.add_quantization_config(scope, _ALL, algorithm_key=_Algorithm.NO_QUANTIZE)
    work = quantizer.Quantizer(bytearray(floating.model), recipe.get_quantization_recipe())
    ranges = work.calibrate({_SIGNATURE: [dict(feed) for feed in feeds]}, num_threads=torch.get_num_threads())
    return _written(work, _shared_ranges(ranges, operations))


def _written(work: quantizer.Quantizer, ranges: dict[str, Any] | None) -> bytes:
    result = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _scopes(floating: _Floating, layers: Collection[str]) -> Iterator[str]:
    """Yield patterns of the names of the layers' operators; the quantiser puts a semicolon behind each name."""
    for layer in sorted(layers):
        yield f"(^|;){re.escape(layer)};"
        yield from (f"^{_SIGNATURE}_{name}_output;$" for name, own in floating.givers.items() if layer in own)


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operator of a .tflite file.

    Attributes:
        kind: "CONV_2D".
        activation: what it does with its sum, as a number.
        takes: names of the tensors that it takes, constants too.
        gives: name of the tensor that it gives.
        axes: of that tensor.
    """

    kind: str
    activation: int
    takes: tuple[str, ...]
    gives: str
    axes: int

    @property
    def layers(self) -> frozenset[str]:
        """Layers that its weights belong to: its name, but for the counter at the end."""
        return frozenset(filter(None, self.gives.split(";")[:-1]))


def _operations(model: bytes) -> Iterator[_Operation]:
    """Yield the operators of a .tflite file in their order, once for each tensor that they give."""
    content = flatbuffers.read_model(memoryview(bytearray(model)))
    (graph,) = content.subgraphs
    names = [tensor.name.decode() for tensor in graph.tensors]
    for operation in graph.operators:
        code = content.operatorCodes[operation.opcodeIndex].builtinCode
        kind = flatbuffers.TFL_OP_CODE_TO_NAME.get(code)
        for index in operation.outputs:
            yield _Operation(
                kind=kind.value if kind else "other",
                activation=getattr(operation.builtinOptions, "fusedActivationFunction", 0),
                takes=tuple(names[taken] for taken in operation.inputs if taken >= 0),
                gives=names[index],
                axes=len(graph.tensors[index].shape),
            )


def _arithmetic(operations: Sequence[_Operation]) -> Iterator[str]:
    """Yield patterns of the names of operators on a few numbers, as in a stream's head.

    They cost nothing in float, and a mean of scores is not to be rounded to 1 of 256 steps on its way.
    """
    for operation in operations:
        if operation.axes < _PICTURE and operation.kind not in _WEIGHTED:
            yield f"^{re.escape(operation.gives)};$"


def _shared_ranges(ranges: dict[str, Any], operations: Sequence[_Operation]) -> dict[str, Any]:
    """Widen the ranges of tensors that are frames of one tensor of the 3D network to their common one."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for name, role in _roles(operations).items():
        if ranges.get(name):
            groups[role].append(name)
    shared = dict(ranges)
    for names in groups.values():
        low = min(ranges[name]["min"].min() for name in names)
        high = max(ranges[name]["max"].max() for name in names)
        for name in names:
            found = ranges[name]
            bounds = {"min": np.full_like(found["min"], low), "max": np.full_like(found["max"], high)}
            shared[name] = {**found, **bounds}
    return shared


def _roles(operations: Sequence[_Operation]) -> dict[str, Any]:
    """Return the role of each tensor that is computed or put in: frames of one 3D tensor have the same.

    What a layer gives has the role of the layer, its operator and its activation; what is only moved keeps its
    role; anything else has the role of its operator on the roles of what it takes.
    """
    given = {operation.gives for operation in operations}
    roles: dict[str, Any] = {}
    for operation in operations:
        for name in operation.takes:
            if name not in given and name.startswith(_SIGNATURE):
                roles[name] = name
        taken = frozenset(roles[name] for name in operation.takes if name in roles)
        if operation.kind in _MOVES and len(taken) == 1:
            (roles[operation.gives],) = taken
        else:
            roles[operation.gives] = (operation.kind, operation.activation, operation.layers or taken)
    return roles
