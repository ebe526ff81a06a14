"""Tiny models for each runtime: light that fades. What they say can be computed in NumPy, see `fading`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vedette_edge.manifest import FileEntry, Parity, Proof, StateTensor, Variant
from vedette_edge.types import FloatArray

SIDE = 4
FADING = 0.5
STATE = StateTensor(name="past", shape=(1, SIDE, SIDE), dtype="float32")


def variant(runtime, mode="stream", **changes) -> Variant:
    parity = Parity(
        samples=1, source="test", logits_max_abs=0.0, logits_mean_abs=0.0, heatmap_max_abs=0.0,
        heatmap_mean_abs=0.0, label_agreement=1.0,
    )  # fmt: skip
    values = {
        "name": f"{runtime}-{mode}",
        "runtime": runtime,
        "precision": "fp32",
        "mode": mode,
        "files": (FileEntry(path="model", bytes=0, sha256="0" * 64),),
        "state": (STATE,) if mode == "stream" else (),
        "proof": Proof(parity=parity),
    }
    return Variant(**(values | changes))


def fading(frames: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return logits (n, 2) and heatmaps (n, 2, 1, H, W) for frames (1, 3, n, H, W) from the beginning."""
    past, maps = np.zeros((SIDE, SIDE), np.float32), []
    for light in frames[0].mean(axis=0):
        past = FADING * past + light
        maps.append(np.stack([-past, past])[:, np.newaxis])
    heatmap = np.stack(maps)
    return heatmap.mean(axis=(2, 3, 4)), heatmap


def onnx_stream(state_type: int = TensorProto.FLOAT) -> bytes:
    constants = {
        "fading": np.float32(FADING),
        "shape": np.array([1, 1, 1, SIDE, SIDE], np.int64),
        "sign": np.array([-1, 1], np.float32).reshape(1, 2, 1, 1, 1),
    }
    nodes = [
        helper.make_node("Cast", ["past"], ["before"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["before", "fading"], ["faded"]),
        helper.make_node("ReduceMean", ["frame"], ["light"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["light", "faded"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["next_past"], to=state_type),
        helper.make_node("Reshape", ["sum", "shape"], ["cells"]),
        helper.make_node("Mul", ["cells", "sign"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap"], ["logits"], axes=[2, 3, 4], keepdims=0),
    ]
    return _model(
        nodes,
        {"frame": [1, 3, 1, SIDE, SIDE], "past": [1, SIDE, SIDE]},
        {"logits": [1, 2], "heatmap": [1, 2, 1, SIDE, SIDE], "next_past": [1, SIDE, SIDE]},
        constants,
        {"past": state_type, "next_past": state_type},
    )


def onnx_clip(batch: int | str = 1) -> bytes:
    """Return a model whose heatmap is the mean of the colours, and its opposite; of clips of two frames."""
    nodes = [
        helper.make_node("ReduceMean", ["clips"], ["light"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["light", "sign"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap"], ["logits"], axes=[2, 3, 4], keepdims=0),
    ]
    return _model(
        nodes,
        {"clips": [batch, 3, 2, SIDE, SIDE]},
        {"logits": [batch, 2], "heatmap": [batch, 2, 2, SIDE, SIDE]},
        {"sign": np.array([-1, 1], np.float32).reshape(1, 2, 1, 1, 1)},
    )


def _model(nodes, inputs, outputs, constants, types=None) -> bytes:
    def tensors(shapes):
        return [
            helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), shape)
            for name, shape in shapes.items()
        ]

    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "light", tensors(inputs), tensors(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def openvino_files(model: bytes, state: str | None = None) -> list[bytes]:
    """Return .xml and .bin of an ONNX model, in which the input `state` and its next value are a variable."""
    import openvino as ov
    from openvino import passes

    graph = ov.Core().read_model(model=model)
    if state:
        manager = passes.Manager()
        manager.register_pass(passes.MakeStateful({state: f"next_{state}"}))
        manager.run_passes(graph)
        for variable in graph.get_variables():
            info = variable.info
            info.variable_id = state
            variable.update(info)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.xml"
        ov.serialize(graph, path, path.with_suffix(".bin"))
        return [path.read_bytes(), path.with_suffix(".bin").read_bytes()]


def tflite_models() -> dict[str, bytes]:
    """Return the models of both modes, and the stream in int8, as `tflite_writer` writes them.

    In a process of its own: LiteRT's converter brings JAX, which warns of each later fork.
    """
    with tempfile.TemporaryDirectory() as directory:
        script = Path(__file__).with_name("tflite_writer.py")
        command = [sys.executable, str(script), directory, str(SIDE), str(FADING)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {path.stem: path.read_bytes() for path in Path(directory).iterdir()}
