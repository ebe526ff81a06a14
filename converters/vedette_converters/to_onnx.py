"""A trained network to one ONNX file with outputs `logits` and `heatmap`."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import onnx
import torch

from vedette_edge.errors import BundleError
from vedette_edge.manifest import InputSpec
from vedette_train.export import WithHeatmap
from vedette_train.models import HeatmapModel

__all__ = ["OnnxFile", "to_onnx"]


_REFUSALS = (
    torch.onnx.errors.OnnxExporterError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An exported model.

    Attributes:
        data: the .onnx file, weights included.
        opset: version of the standard operators that it uses.
    """

    data: bytes
    opset: int


def to_onnx(network: HeatmapModel, spec: InputSpec) -> OnnxFile:
    """Export a network.

    Args:
        network: in evaluation mode, on the CPU.
        spec: the input; the batch axis stays free.

    Raises:
        BundleError: when the exporter or ONNX's checker refuses the network; names the reason.
    """
    # Two clips, because the exporter takes an axis of length one for a constant.
    example = torch.zeros(2, spec.channels, spec.frames, spec.height, spec.width)
    module = WithHeatmap(network).eval()
    try:
        with warnings.catch_warnings():
            # The exporter's own deprecations are not the user's to mend.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (example,),
                input_names=["clips"],
                output_names=["logits", "heatmap"],
                dynamic_shapes={"clips": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
        _strip_build_traces(model)
        onnx.checker.check_model(model, full_check=True)
    except _REFUSALS as error:
        raise BundleError(f"this network cannot be written as ONNX: {error}") from error
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    return OnnxFile(model.SerializeToString(), opset)


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


logging.getLogger("torch.onnx").setLevel(logging.ERROR)
logging.getLogger("onnxscript").setLevel(logging.ERROR)
