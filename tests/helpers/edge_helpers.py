"""Real, tiny things for the edge tests: a bundle whose model sees brightness, videos, brokers, agents."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper

from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.manifest import InputSpec, Variant
from vedette_edge.preprocess import to_tensor
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Closed, Opened, Received, Wire
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.types import Frame

FRAMES, FPS, SIDE = 4, 8.0, 32
GRID = 4
MOSQUITTO = Path("/usr/sbin/mosquitto")
LABELS = ("calm", "bright")


def input_spec(**changes):
    values = {
        "frames": FRAMES,
        "fps": FPS,
        "height": SIDE,
        "width": SIDE,
        "crop": "stretch",
        "color": "rgb",
        "axes": "NCTHW",
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
    }
    return InputSpec(**(values | changes))


def brightness_model(bias: float = -2.0, batch: int | str = 1) -> bytes:
    """Return a network that finds light: heatmap[1] = 20 * (brightness - 0.1), heatmap[0] its opposite.

    A black clip gives P(bright) = 0.02, a clip that is bright on a quarter of its area gives 0.998.
    With another `bias` it is another network; where `batch` is a name, it takes any number of clips.
    """
    constants = {
        "flat": np.array([-1, FRAMES, SIDE, SIDE], np.int64),
        "deep": np.array([-1, 1, FRAMES, GRID, GRID], np.int64),
        "gain": np.array([-20.0, 20.0], np.float32).reshape(1, 2, 1, 1, 1),
        "bias": np.array([-bias, bias], np.float32).reshape(1, 2, 1, 1, 1),
    }
    step = SIDE // GRID
    nodes = [
        helper.make_node("ReduceMean", ["clip"], ["light"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["light", "flat"], ["frames"]),
        helper.make_node(
            "AveragePool", ["frames"], ["cells"], kernel_shape=[step, step], strides=[step, step]
        ),
        helper.make_node("Reshape", ["cells", "deep"], ["volume"]),
        helper.make_node("Mul", ["volume", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap"], ["logits"], axes=[2, 3, 4], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("clip", TensorProto.FLOAT, [batch, 3, FRAMES, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 2]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, [batch, 2, FRAMES, GRID, GRID]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def entry(directory: Path, name: str) -> dict:
    data = (directory / name).read_bytes()
    return {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest_values(files: dict[str, dict]) -> dict:
    parity = {
        "samples": 2,
        "source": "test",
        "logits_max_abs": 0.0,
        "logits_mean_abs": 0.0,
        "heatmap_max_abs": 0.0,
        "heatmap_mean_abs": 0.0,
        "label_agreement": 1.0,
        "tolerance": 1e-3,
    }
    return {
        "schema_version": 1,
        "name": "brightness",
        "task": "classify",
        "architecture": "none",
        "release": 1,
        "min_agent": "0.1.0",
        "labels": [{"name": name, "alarm": name == "bright"} for name in LABELS],
        "input": input_spec().model_dump(),
        "outputs": {"logits": [2], "heatmap": [2, FRAMES, GRID, GRID]},
        "decision": {
            "on_threshold": 0.7,
            "off_threshold": 0.3,
            "min_duration": 0.0,
            "cooldown": 0.5,
            "smoothing": 1,
            "hop": 2,
            "temperature": 1.0,
        },
        "variants": [
            {
                "name": "onnx-fp32",
                "runtime": "onnx",
                "precision": "fp32",
                "mode": "clip",
                "files": [files["model.onnx"]],
                "opset": 17,
                "proof": {"parity": parity},
            }
        ],
        "golden": {
            "inputs": files["golden_inputs.npy"],
            "logits": files["golden_logits.npy"],
            "heatmap": files["golden_heatmap.npy"],
            "tolerance": 1e-3,
        },
        "provenance": {
            "created": "2025-01-01T00:00:00+00:00",
            "recipe": {},
            "dataset": "0" * 64,
            "split": {"train": ["a"]},
            "seed": 0,
            "versions": {},
            "metrics": {},
        },
    }


def write_bundle(directory: Path) -> Path:
    """Write a bundle that a real agent accepts."""
    directory.mkdir(parents=True, exist_ok=True)
    model = brightness_model()
    (directory / "model.onnx").write_bytes(model)
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (2, FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    session = OnnxSession(model)
    outputs = [session.run(to_tensor(list(clip), input_spec())) for clip in inputs]
    np.save(directory / "golden_inputs.npy", inputs)
    np.save(directory / "golden_logits.npy", np.concatenate([one.logits for one in outputs]))
    np.save(directory / "golden_heatmap.npy", np.concatenate([one.heatmap for one in outputs]))
    names = ("model.onnx", "golden_inputs.npy", "golden_logits.npy", "golden_heatmap.npy")
    values = manifest_values({name: entry(directory, name) for name in names})
    write_manifest(directory, values)
    return directory


def write_manifest(directory: Path, values: dict) -> None:
    (directory / "manifest.json").write_text(json.dumps(values, indent=2))


def edit_manifest(directory: Path, edit) -> None:
    path = directory / "manifest.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def add_variant(directory: Path, name: str, model: bytes, **changes: object) -> None:
    """Add a variant to a bundle, after those it has."""
    (directory / f"{name}.onnx").write_bytes(model)
    files = [entry(directory, f"{name}.onnx")]

    def edit(values):
        values["variants"].append(values["variants"][0] | {"name": name, "files": files} | changes)

    edit_manifest(directory, edit)


def opened(directory: Path) -> tuple[Bundle, Variant, OnnxSession]:
    bundle = open_bundle(directory)
    variant = bundle.variant()
    return bundle, variant, OnnxSession(bundle.read(variant.files[0]))


def picture(light: bool, width: int = 64, height: int = 48) -> np.ndarray:
    """Return a black picture, or one with a white lower right quarter."""
    image = np.zeros((height, width, 3), np.uint8)
    if light:
        image[height // 2 :, width // 2 :] = 255
    return image


def scene(*parts: tuple[float, bool], fps: float = 25.0, **size: int) -> list[Frame]:
    """Return frames: each part is (seconds, light)."""
    frames: list[Frame] = []
    for seconds, light in parts:
        for _ in range(round(seconds * fps)):
            frames.append(Frame(picture(light, **size), len(frames) / fps))
    return frames


def write_video(path: Path, *parts: tuple[float, bool], fps: float = 25.0) -> Path:
    frames = scene(*parts, fps=fps)
    height, width = frames[0].image.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for frame in frames:
        writer.write(frame.image)
    writer.release()
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_config(path: Path, bundle: Path, video: Path, port: int, **changes) -> Path:
    """Write a configuration; `changes` are top-level keys."""
    values = {
        "site": "hall",
        "node": "node-1",
        "bundle": str(bundle),
        "state_dir": str(path.parent / "state"),
        "mqtt": {"port": port, "host": "127.0.0.1"},
        "cameras": [{"id": "door", "source": {"type": "file", "path": str(video), "pace": "fast"}}],
        "drain_timeout": 5,
    }
    path.write_text(yaml.safe_dump(values | changes))
    return path


def agent_command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "vedette_edge", *map(str, arguments)]


def run_agent_process(*arguments: object, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        agent_command(*arguments), capture_output=True, text=True, timeout=timeout, check=False
    )


@contextlib.contextmanager
def agent_process(*arguments: object, **environment: str):
    """Start `edge-agent`; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        agent_command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def wait_until(condition, seconds: float = 10.0, what: str = "the condition") -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


@contextlib.contextmanager
def mosquitto(directory: Path, port: int, extra: str = "allow_anonymous true"):
    """Run Mosquitto on a loopback port."""
    config = directory / f"mosquitto-{port}.conf"
    # Started by root, Mosquitto would become a user that cannot read the files of a test.
    user = getpass.getuser()
    config.write_text(f"user {user}\nlistener {port} 127.0.0.1\n{extra}\nlog_dest stderr\n")
    with (directory / f"mosquitto-{port}.log").open("wb") as log:
        process = subprocess.Popen([str(MOSQUITTO), "-c", str(config)], stderr=log, stdout=log)
    try:
        wait_until(lambda: _answers(port), what="Mosquitto's start")
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Listener:
    """Subscribes to everything, and remembers it in order; with a name, the broker keeps what it misses."""

    def __init__(self, port: int, protocol: str = "5", name: str = "") -> None:
        will = Message("farewell", b"") if name else None  # who has one, resumes its session
        self._wire = Wire(Broker("127.0.0.1", port, protocol), name, will)
        self._wire.open()
        assert isinstance(self._wire.happened.get(timeout=5), Opened)
        self._wire.subscribe("vedette/v1/#")
        self._received: list[Received] = []
        # The broker has the subscription once a message of our own comes back.
        self._wire.subscribe("probe")
        self.send(Message("probe", b"", content_type="text/plain"))
        wait_until(lambda: any(one.topic == "probe" for one in self._drain()), what="the subscription")
        self._received = [one for one in self._received if one.topic != "probe"]

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_) -> None:
        self._wire.close()

    def send(self, message: Message) -> None:
        self._wire.send(message)

    def _drain(self) -> list[Received]:
        while not self._wire.happened.empty():
            event = self._wire.happened.get()
            assert not isinstance(event, Closed), event
            if isinstance(event, Received):
                self._received.append(event)
        return self._received

    def of(self, kind: str) -> list[Received]:
        return [one for one in self._drain() if one.topic.rpartition("/")[2] == kind]

    def payloads(self, kind: str) -> list[dict]:
        return [json.loads(one.payload) for one in self.of(kind)]

    def wait_for(self, kind: str, condition=bool, seconds: float = 15.0) -> dict:
        """Wait for a JSON message of a kind that meets a condition; return its payload."""
        wait_until(lambda: any(map(condition, self.payloads(kind))), seconds, f"a '{kind}' message")
        return next(payload for payload in self.payloads(kind) if condition(payload))
