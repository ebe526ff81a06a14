"""A graph as an OpenVINO model (.xml and .bin), in fp32, fp16 or int8; a stream's state lies in the model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import nncf
import numpy as np
import onnx
import openvino as ov
from openvino import opset13 as opset
from openvino._offline_transformations import (
    apply_make_stateful_transformation,
    compress_quantize_weights_transformation,
)

from vedette_converters.graph import Feed, Graph, next_name
from vedette_converters.quiet import quiet
from vedette_converters.signal_stack import keep_signal_stack
from vedette_converters.targets import Model
from vedette_converters.targets.nodes import layer_of, nodes_of
from vedette_converters.targets.onnx import export
from vedette_edge.errors import BundleError
from vedette_edge.manifest import Precision

__all__ = ["build"]

_UNKNOWN = re.compile(r"does not support the following ONNX operations: (?:[\w.]+\.)?(\w+)")
_CLIP_AXES = 5


def build(graph: Graph, precision: Precision, feeds: Sequence[Feed], keep_float: Collection[str]) -> Model:
    """Write a graph for OpenVINO; see `targets.Target.build`.

    A stream takes `frame` alone: each state tensor becomes a variable of that name, which begins as zeros.

    Raises:
        BundleError: when ONNX, by way of which the graph goes, or OpenVINO refuses it.
    """
    model = _read(export(graph))
    if precision == "int8":
        model = _quantised(model, feeds, keep_float)
        # Until here the weights are floats that are rounded as the model is loaded.
        compress_quantize_weights_transformation(model)
    if graph.state:
        _keep_state(model, [tensor.name for tensor in graph.state])
    return Model(_files(model, half=precision == "fp16"))


def _read(source: onnx.ModelProto) -> ov.Model:
    try:
        return ov.Core().read_model(source.SerializeToString())
    except RuntimeError as error:
        unknown = _UNKNOWN.search(str(error))
        operator = unknown[1] if unknown else None
        layers = [layer_of(node.name) for node in source.graph.node if node.op_type == operator]
        reason = f"it has no operator '{operator}', of layer '{layers[0]}'" if layers else f"{error}"
        raise BundleError(
            f"OpenVINO {ov.__version__} cannot read this network: {reason}; "
            "write the layer with other operators, or choose another runtime"
        ) from error


def _quantised(model: ov.Model, feeds: Sequence[Feed], keep_float: Collection[str]) -> ov.Model:
    """Return a model with integers where its operators have kernels for them.

    Depthwise 3D convolutions have none on a CPU: they would be computed in floating point from rounded
    values, slower and less exactly than from values that never were. Products of matrices are small here, and
    with five axes they end the process.
    """
    names = [operator.get_friendly_name() for operator in model.get_ops()]
    grouped = [
        operator.get_friendly_name()
        for operator in model.get_ops()
        if operator.get_type_name() == "GroupConvolution"
        and operator.get_output_partial_shape(0).rank.get_length() == _CLIP_AXES
    ]
    with quiet(), keep_signal_stack():
        return nncf.quantize(
            model,
            nncf.Dataset([dict(feed) for feed in feeds]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(feeds),
            ignored_scope=nncf.IgnoredScope(
                names=sorted({*grouped, *nodes_of(names, keep_float)}), types=["MatMul"], validate=False
            ),
        )


def _keep_state(model: ov.Model, names: Sequence[str]) -> None:
    """Turn each pair of an input and an output into a variable, in place."""
    apply_make_stateful_transformation(model, {name: next_name(name) for name in names})
    by_pair = {name + next_name(name): name for name in names}  # the transformation joins the two names
    for variable in model.get_variables():
        info = variable.info
        info.variable_id = by_pair[info.variable_id]
        variable.update(info)
    for operator in model.get_ops():
        if operator.get_type_name() == "ReadValue":
            # Zeros are what it begins with anyway, but where it reads integers the CPU plugin looks for them.
            zeros = opset.broadcast(np.float32(0), operator.get_output_shape(0))
            operator.set_arguments(zeros.outputs())
    model.validate_nodes_and_infer_types()


def _files(model: ov.Model, *, half: bool) -> tuple[tuple[str, bytes], ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=half)
        return tuple((suffix, path.with_suffix(suffix).read_bytes()) for suffix in (".xml", ".bin"))
