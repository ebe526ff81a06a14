"""Precisions of LiteRT models, by ai-edge-quantizer: halves, and integers.

All frames of a layer get one range, as the 3D layer would have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vedette_converters.graph import Feed, lies_in
from vedette_converters.quiet import quiet

with quiet():
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffers

__all__ = ["Floating", "halved", "quantised"]

_SIGNATURE = "serving_default"  # as litert_torch names it
_ALL, _INPUT, _OUTPUT = (qtyping.TFLOperationName[name] for name in ("ALL_SUPPORTED", "INPUT", "OUTPUT"))
_Algorithm = algorithm_manager.AlgorithmName
_PICTURE = 4  # axes
_MOVES = {"PAD", "SLICE", "STRIDED_SLICE", "RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT"}


@dataclass(frozen=True, slots=True)
class Floating:
    """A .tflite file with the layers whose operators give an output: those have the output's name."""

    model: bytes
    givers: Mapping[str, tuple[str, ...]]


def halved(model: bytes) -> bytes:
    """Return a file with its weights in float16."""
    recipe = recipe_manager.RecipeManager()
    recipe.add_weight_only_config(
        ".*",
        _ALL,
        num_bits=16,
        granularity=qtyping.QuantGranularity.TENSORWISE,
        algorithm_key=_Algorithm.FLOAT_CASTING,
    )
    return _written(quantizer.Quantizer(bytearray(model), recipe.get_quantization_recipe()), None)


def quantised(floating: Floating, feeds: Sequence[Feed], keep_float: Collection[str], threads: int) -> bytes:
    """Return a file that computes in int8, but for its inputs and outputs.

    Args:
        floating: the file in fp32.
        feeds: what it is calibrated with, on `threads` threads.
        keep_float: names of layers, as in `network.named_modules()`, that stay as they are.
        threads: at least 1.
    """
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _ALL, activation_num_bits=8, weight_num_bits=8)
    for operator in (_INPUT, _OUTPUT):
        recipe.add_quantization_config(".*", operator, algorithm_key=_Algorithm.NO_QUANTIZE)
    operations = list(_operations(floating.model))
    scopes = (*_scopes(floating, keep_float), *_arithmetic(operations), *_between(operations, keep_float))
    for scope in scopes:
        recipe.add_quantization_config(scope, _ALL, algorithm_key=_Algorithm.NO_QUANTIZE)
    work = quantizer.Quantizer(bytearray(floating.model), recipe.get_quantization_recipe())
    ranges = work.calibrate({_SIGNATURE: [dict(feed) for feed in feeds]}, num_threads=threads)
    return _written(work, _shared_ranges(ranges, operations))


def _written(work: quantizer.Quantizer, ranges: dict[str, Any] | None) -> bytes:
    result = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _scopes(floating: Floating, layers: Collection[str]) -> Iterator[str]:
    """Yield patterns of the names of the layers' operators; the quantiser ends each name with a semicolon."""
    for layer in sorted(layers):
        yield rf"(^|;){re.escape(layer)}[.;]"
    for name, own in floating.givers.items():
        if any(lies_in(layer, one) for layer in own for one in layers):
            yield f"^{_SIGNATURE}_{name}_output;$"


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
    """Yield patterns of the names of operators that give no picture, as in heads.

    They cost little in float, and a mean of scores is not to be rounded to 1 of 256 steps on its way.
    """
    return (f"^{re.escape(operation.gives)};$" for operation in operations if operation.axes < _PICTURE)


def _between(operations: Sequence[_Operation], layers: Collection[str]) -> Iterator[str]:
    """Yield patterns of the names of operators without weights that only take what `layers` give.

    They stay in float with the layers: rounded between them, their values would lose what the layers keep.
    """
    given, floating = {operation.gives for operation in operations}, set[str]()
    for operation in operations:
        taken = given.intersection(operation.takes)
        if any(lies_in(layer, one) for layer in operation.layers for one in layers):
            floating.add(operation.gives)
        elif not operation.layers and taken and taken <= floating:
            floating.add(operation.gives)
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

    What a layer gives has the role of the layer, its operator and its activation; what is only moved keeps
    its role; anything else has the role of its operator on the roles of what it takes.
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
