"""The brightness model as a stream, bundles that have it, and runtimes that fail when they are told to."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import onnx
import yaml
from edge_helpers import (
    FRAMES,
    GRID,
    SIDE,
    add_variant,
    edit_manifest,
    entry,
    input_spec,
    write_bundle,
)
from onnx import TensorProto, helper

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.manifest import StateTensor, Variant
from vedette_edge.preprocess import to_tensor
from vedette_edge.runtimes import RUNTIMES
from vedette_edge.runtimes import onnx as real
from vedette_edge.types import Frame

WINDOW = StateTensor(name="window", shape=(1, 2, FRAMES - 1), dtype="float32")


def brightness_stream() -> bytes:
    """Return `brightness_model` frame by frame: it carries what the frames of the window say."""
    step = SIDE // GRID
    constants = {
        "flat": np.array([1, 1, SIDE, SIDE], np.int64),
        "deep": np.array([1, 1, 1, GRID, GRID], np.int64),
        "gain": np.array([-20.0, 20.0], np.float32).reshape(1, 2, 1, 1, 1),
        "bias": np.array([2.0, -2.0], np.float32).reshape(1, 2, 1, 1, 1),
        "one": np.array([1], np.int64),
        "end": np.array([FRAMES], np.int64),
        "axis": np.array([2], np.int64),
        "row": np.array([1, 2, 1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["frame"], ["light"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["light", "flat"], ["frames"]),
        helper.make_node(
            "AveragePool", ["frames"], ["cells"], kernel_shape=[step, step], strides=[step, step]
        ),
        helper.make_node("Reshape", ["cells", "deep"], ["volume"]),
        helper.make_node("Mul", ["volume", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap"], ["mean"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["now"]),
        helper.make_node("Concat", ["window", "now"], ["all"], axis=2),
        helper.make_node("ReduceMean", ["all"], ["logits"], axes=[2], keepdims=0),
        helper.make_node("Slice", ["all", "one", "end", "axis"], ["next_window"]),
    ]
    return _model(
        nodes,
        {"frame": [1, 3, 1, SIDE, SIDE], "window": list(WINDOW.shape)},
        {"logits": [1, 2], "heatmap": [1, 2, 1, GRID, GRID], "next_window": list(WINDOW.shape)},
        constants,
    )


def add_stream(directory: Path, name: str = "live") -> None:
    """Add the stream to a bundle of the brightness model."""
    add_variant(directory, name, brightness_stream(), mode="stream", state=[WINDOW.model_dump()])


def write_model_config(path: Path, bundle: Path, cameras=("door",), **model) -> Path:
    """Write a configuration of the one model `main`; `model` are its settings."""
    source = {"type": "file", "path": "x.mp4"}
    values = {
        "site": "hall",
        "node": "node-1",
        "state_dir": str(path.parent / "state"),
        "models": {"main": {"bundle": str(bundle), "threads": 1} | model},
        "cameras": [{"id": name, "source": source} for name in cameras],
    }
    path.write_text(yaml.safe_dump(values))
    return path


def write_picture_bundle(directory: Path) -> Path:
    """Write a bundle of task anomaly: a picture's score is 20 * brightness - 2, and 0 is the threshold."""
    write_bundle(directory)
    model = _light_of_a_picture()
    (directory / "model.onnx").write_bytes(model)
    inputs = np.load(directory / "golden_inputs.npy")[:, :1]
    session = real.OnnxSession(model)
    outputs = [session.run(to_tensor(list(one), input_spec(frames=1))) for one in inputs]
    np.save(directory / "golden_inputs.npy", inputs)
    np.save(directory / "golden_logits.npy", np.concatenate([one.logits for one in outputs]))
    np.save(directory / "golden_heatmap.npy", np.concatenate([one.heatmap for one in outputs]))

    def edit(values):
        values.update(task="anomaly", labels=[{"name": "anomaly", "alarm": True}])
        values["anomaly"] = {"threshold": 0.0, "scale": 1.0, "map_low": 0.0, "map_high": 1.0}
        values["input"]["frames"] = 1
        values["outputs"] = {"logits": [1], "heatmap": [1, 1, SIDE, SIDE]}
        values["decision"] |= {"on_threshold": 0.5, "off_threshold": 0.4, "hop": 1}
        values["variants"][0]["files"] = [entry(directory, "model.onnx")]
        for name in ("inputs", "logits", "heatmap"):
            values["golden"][name] = entry(directory, f"golden_{name}.npy")

    edit_manifest(directory, edit)
    return directory


def _light_of_a_picture() -> bytes:
    nodes = [
        helper.make_node("ReduceMean", ["clips"], ["light"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["light", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap"], ["logits"], axes=[2, 3, 4], keepdims=0),
    ]
    return _model(
        nodes,
        {"clips": [1, 3, 1, SIDE, SIDE]},
        {"logits": [1, 1], "heatmap": [1, 1, 1, SIDE, SIDE]},
        {"gain": np.float32(20.0), "bias": np.float32(-2.0)},
    )


def _model(nodes, inputs, outputs, constants) -> bytes:
    def tensors(shapes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
        ]

    initializers = [
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "light", tensors(inputs), tensors(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def shades(times, seed: int = 0) -> list[Frame]:
    """Return a frame at each time, each of another brightness in each of its corners."""
    rng = np.random.default_rng(seed)
    frames = []
    for time in times:
        corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
        frames.append(Frame(corners.repeat(24, axis=0).repeat(32, axis=1), time))
    return frames


class Trouble:
    """A runtime that is ONNX Runtime, but for what it is told to do to calls; stands in for that module.

    Attributes:
        plan: what to do, by the variant's name: called with each call's number, from 1.
        calls: how many there were, by the variant's name. Those of the golden samples count.
    """

    def __init__(self, plan) -> None:
        self.plan = plan
        self.calls: dict[str, int] = {}

    def providers(self):
        return real.providers()

    def meet(self, variant: Variant) -> None:
        number = self.calls[variant.name] = self.calls.get(variant.name, 0) + 1
        if variant.name in self.plan:
            self.plan[variant.name](number)

    def clip_session(self, files, variant, threads, providers):
        session = real.clip_session(files, variant, threads, providers)

        def run(clips):
            self.meet(variant)
            return session.run(clips)

        return types.SimpleNamespace(run=run)

    def stream_session(self, files, variant, threads, providers):
        return _Streams(self, variant, real.stream_session(files, variant, threads, providers))

    def install(self, monkeypatch) -> None:
        """Take the place of ONNX Runtime."""
        monkeypatch.setitem(sys.modules, "trouble_runtime", self)
        monkeypatch.setitem(RUNTIMES, "onnx", "trouble_runtime")


class _Streams:
    def __init__(self, trouble: Trouble, variant: Variant, session) -> None:
        self._trouble, self._variant, self._session = trouble, variant, session

    def open_stream(self):
        stream = self._session.open_stream()

        def push(frames):
            self._trouble.meet(self._variant)
            return stream.push(frames)

        return types.SimpleNamespace(push=push, reset=stream.reset)


def failing(*numbers: int, after: int | None = None):
    """Return a plan by which the calls of these numbers fail, and all after `after`."""

    def meet(number):
        if number in numbers or (after is not None and number > after):
            raise RuntimeBackendError(f"call {number} failed")

    return meet
