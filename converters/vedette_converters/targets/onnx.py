"""A graph as one ONNX file for ONNX Runtime on a CPU, in fp32, fp16 or int8."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch.export import Dim

from vedette_converters.graph import Feed, Graph
from vedette_converters.quiet import quiet
from vedette_converters.targets import Model
from vedette_converters.targets.nodes import layer_of, name_nodes, nodes_of
from vedette_edge.errors import BundleError
from vedette_edge.manifest import Precision

__all__ = ["build", "export", "to_onnx"]

# Operators with weights, whatever they work on, and operators that they share their integers with, on maps.
# Linear layers are small here, and the quantiser mistakes the channels of some for others.
_WEIGHTED = ("Conv",)
_BETWEEN = ("Add", "Clip", "Concat", "MaxPool", "Relu", "Slice", "Squeeze")
_MAP_AXES = 4  # N, C, H, W at least
_FATAL_ONLY = 4
_REFUSALS = (
    torch.onnx.errors.OnnxExporterError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)
_NO_FORM = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\(\d+\) node with name '([^']*)'")
_WHAT_TO_DO = "write the layer with other operators, or choose another runtime"


def build(graph: Graph, precision: Precision, feeds: Sequence[Feed], keep_float: Collection[str]) -> Model:
    """Write a graph for ONNX Runtime; see `targets.Target.build`.

    Raises:
        BundleError: when the exporter, ONNX's checker or ONNX Runtime refuses the graph.
    """
    model = export(graph)
    _refuse_what_cannot_run(model)
    if precision == "fp16":
        model = _to_half(model)
    elif precision == "int8":
        model = _quantised(model, feeds, keep_float)
    _strip_build_traces(model)
    onnx.checker.check_model(model, full_check=True)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    return Model(((".onnx", model.SerializeToString()),), opset)


def to_onnx(graph: Graph) -> Model:
    """Write a graph in fp32; see `build`."""
    return build(graph, "fp32", (), ())


def export(graph: Graph) -> onnx.ModelProto:
    """Return a graph as ONNX in fp32, each node named after its layer; see `targets.nodes`.

    Raises:
        BundleError: when the exporter or ONNX's checker refuses the graph.
    """
    return onnx.load_model_from_string(_exported(graph))


@lru_cache(maxsize=2)  # the precisions of a graph, and the tries of int8, follow each other
def _exported(graph: Graph) -> bytes:
    batch = {0: Dim("batch")} if graph.any_batch else None
    try:
        with quiet():
            program = torch.onnx.export(
                graph.module,
                tuple(graph.examples.values()),
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_shapes=(batch,) if batch else None,
                dynamo=True,
                external_data=False,
                verbose=False,
                optimize=False,
            )
            assert program is not None
            # Optimising folds weights away whose names tell a node's layer, and joins nodes into new ones.
            name_nodes(program.model)
            program.optimize()
            name_nodes(program.model)
        model: onnx.ModelProto = program.model_proto
        _strip_build_traces(model)
        onnx.checker.check_model(model, full_check=True)
    except _REFUSALS as error:
        raise BundleError(f"this network cannot be written as ONNX: {_reason(graph, error)}") from error
    data: bytes = model.SerializeToString()
    return data


def _reason(graph: Graph, error: Exception) -> str:
    """Say which operator of which layer has no ONNX form; for other failures, what was said first."""
    missing = _NO_FORM.search(str(error))
    if missing is None:
        while isinstance(error.__cause__, Exception):
            error = error.__cause__
        return str(error).partition("\n")[0]
    operator = missing[1]
    program = torch.export.export(graph.module, tuple(graph.examples.values())).run_decompositions()
    scopes = [
        path
        for node in program.graph.nodes
        if str(node.target).startswith(f"{operator}.")
        for path, _ in node.meta.get("nn_module_stack", {}).values()
    ]
    layer = max(scopes, key=len, default="").removeprefix("network.") or "the network itself"
    return f"operator '{operator}' of layer '{layer}' has no ONNX form; {_WHAT_TO_DO}"


def _refuse_what_cannot_run(model: onnx.ModelProto) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own that share no public base
        missing = _NO_KERNEL.search(str(error))
        reason = (
            f"it has no operator '{missing[1]}', of layer '{layer_of(missing[2])}'" if missing else f"{error}"
        )
        raise BundleError(
            f"ONNX Runtime {ort.__version__} cannot run this network: {reason}; {_WHAT_TO_DO}"
        ) from error


def _to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with float16 weights and arithmetic; its inputs and outputs stay float32."""
    with warnings.catch_warnings():
        # Of weights out of float16's range: the proof says whether that matters.
        warnings.simplefilter("ignore")
        half = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    # The casts of inputs that many nodes take stand behind some of them.
    half.topological_sort()
    found: onnx.ModelProto = half.model
    return found


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the feeds to the calibration, one at a time."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def _quantised(model: onnx.ModelProto, feeds: Sequence[Feed], keep_float: Collection[str]) -> onnx.ModelProto:
    """Return a model with integers between the nodes QuantizeLinear and DequantizeLinear (QDQ).

    Activations are uint8, for which ONNX Runtime has the faster kernels on x86. Weights have the whole range
    of int8: seven bits would spare processors without VNNI the saturation of 16-bit sums, but lose
    more accuracy on all others. Ranges are those of the smallest and largest value seen.
    """
    keep = nodes_of([node.name for node in model.graph.node], keep_float)
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, prepared, quantised = (Path(folder) / name for name in ("float", "prepared", "quantised"))
        source.write_bytes(model.SerializeToString())
        # The exporter has told all shapes; the symbolic inference stumbles over some graphs.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_WEIGHTED, *_BETWEEN],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*keep, *_not_of_maps(onnx.load(prepared).graph)],
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(quantised)


def _not_of_maps(graph: onnx.GraphProto) -> list[str]:
    """Return the nodes between layers that work on scores or features: quantising those saves nothing."""
    axes = {value.name: len(value.type.tensor_type.shape.dim) for value in (*graph.value_info, *graph.output)}
    return [
        node.name
        for node in graph.node
        if node.op_type in _BETWEEN and axes.get(node.output[0], 0) < _MAP_AXES
    ]


def _strip_build_traces(model: onnx.ModelProto) -> None:
    """Remove the stack traces of the exporter: paths of the building machine have no place on a device."""
    model.doc_string = ""
    del model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
    del model.graph.metadata_props[:]
