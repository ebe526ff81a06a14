"""A bundle of MobileNetV2-3D with random weights, which cost what trained ones do: clip and stream."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from inference import SPEC
from torch import nn

from vedette_converters.graph import Graph, clip_graph
from vedette_converters.streaming import stream_graph
from vedette_converters.targets import target
from vedette_edge.preprocess import to_tensor
from vedette_edge.types import Outputs
from vedette_train.models import HeatmapModel, create_model

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from edge_helpers import entry, manifest_values, write_manifest

LABELS = ("idle", "squat")


def causal_network() -> HeatmapModel:
    """Return the network; two labels, so that it is unsure and raises few events."""
    torch.manual_seed(0)
    network = create_model("mobilenet_v2_3d", num_classes=len(LABELS), mode="causal")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):  # else what comes out is all but zero
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()  # type: ignore[return-value]


def write_network_bundle(directory: Path, network: HeatmapModel) -> Path:
    """Write the network as a bundle that the agent accepts; return its directory."""
    directory.mkdir(parents=True)
    graphs = {"onnx-clip": clip_graph(network, SPEC), "onnx-stream": stream_graph(network, SPEC)}
    inputs = np.random.default_rng(0).integers(0, 256, (2, SPEC.frames, 128, 128, 3), dtype=np.uint8)
    outputs = [_judged(network, to_tensor(list(clip), SPEC)) for clip in inputs]
    arrays = {
        "inputs": inputs,
        "logits": np.concatenate([one.logits for one in outputs]),
        "heatmap": np.concatenate([one.heatmap for one in outputs]),
    }
    for name, array in arrays.items():
        np.save(directory / f"golden_{name}.npy", array)
    files = {f"golden_{name}.npy": entry(directory, f"golden_{name}.npy") for name in arrays}
    values = manifest_values(files | {"model.onnx": {}})
    values["input"] = SPEC.model_dump()
    values["labels"] = [{"name": name, "alarm": name != "idle"} for name in LABELS]
    values["outputs"] = {"logits": [len(LABELS)], "heatmap": list(outputs[0].heatmap.shape[1:])}
    proof = values["variants"][0]["proof"]
    values["variants"] = [_variant(directory, name, graph, proof) for name, graph in graphs.items()]
    write_manifest(directory, values)
    return directory


def _judged(network: HeatmapModel, clips: np.ndarray) -> Outputs:
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(torch.from_numpy(clips))
    return Outputs(logits.numpy(), heatmap.numpy())


def _variant(directory: Path, name: str, graph: Graph, proof: dict[str, object]) -> dict[str, object]:
    model = target("onnx").build(graph, "fp32", (), ())
    (directory / f"{name}.onnx").write_bytes(model.contents[0])
    state = graph.state if model.state is None else model.state
    return {
        "name": name,
        "runtime": "onnx",
        "precision": "fp32",
        "mode": graph.mode,
        "files": [entry(directory, f"{name}.onnx")],
        "opset": 18,
        "state": [one.model_dump() for one in state],
        "proof": proof,
    }
