"""Networks that see lamps, two convolutions each, as bundles: good ones, and three that are bad.

Their golden samples come of the same network computed in NumPy, and the difference to what ONNX Runtime says
is the parity that the manifest states.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vedette_edge.manifest import (
    Decision,
    FileEntry,
    Golden,
    InputSpec,
    Label,
    Manifest,
    OutputSpec,
    Parity,
    Proof,
    Provenance,
    Variant,
)
from vedette_edge.preprocess import to_tensor
from vedette_edge.runtimes.onnx import OnnxSession

__all__ = ["Network", "write_bundle"]

FRAMES, FPS, SIDE, CELL, CHANNELS = 4, 8.0, 64, 8, 4
GRID = SIDE // CELL
SPEC = InputSpec(
    frames=FRAMES, fps=FPS, height=SIDE, width=SIDE, crop="stretch", color="rgb", axes="NCTHW",
    mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
)  # fmt: skip
GOLDEN_CLIPS = 16
BRIGHT = 0.3  # mean brightness of a picture in which the bright lamp is on; above that of the golden samples
TOLERANCE = 1e-3
_MULTIPLICATIONS, _ORDER = 12, 512  # of the slow one: matrices that have nothing to do with the answer

Array = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """A network, and what is wrong with it.

    Attributes:
        threshold: mean brightness from which a clip shows a lamp.
        flaw: `wrong`: the file holds other weights than those that were proved. `slow`: it does much more
            than it needs. `crashes`: a bright picture takes it outside of what the processor can divide,
            and the process ends.
    """

    threshold: float
    flaw: Literal["", "wrong", "slow", "crashes"] = ""
    gain: float = field(default=30.0)

    @property
    def first(self) -> Array:
        """Weights of the first convolution, which looks at cells of 8 x 8 pixels; the same in all."""
        weights = np.random.default_rng(1).random((CHANNELS, 3, CELL, CELL)).astype(np.float32)
        first: Array = weights / weights.sum(axis=(1, 2, 3), keepdims=True)
        return first

    @property
    def second(self) -> tuple[Array, Array]:
        """Weights and bias of the second, which says how much a cell speaks for each label."""
        row = np.full(CHANNELS, self.gain / CHANNELS, np.float32)
        bias = np.float32(self.gain * self.threshold)
        return np.stack([-row, row]).reshape(2, CHANNELS, 1, 1), np.array([bias, -bias], np.float32)

    def heatmap(self, clip: Array) -> Array:
        """Return what it says of a clip (1, 3, T, H, W), computed in NumPy."""
        weights, bias = self.second
        cells = clip[0].reshape(3, FRAMES, GRID, CELL, GRID, CELL)
        seen = np.maximum(np.einsum("ctyaxb,ocab->otyx", cells, self.first, optimize=True), 0)
        said: Array = np.einsum("otyx,ko->ktyx", seen, weights[:, :, 0, 0]) + bias[:, None, None, None]
        heatmap: Array = said[np.newaxis].astype(np.float32)
        return heatmap


def write_bundle(directory: Path, network: Network, release: int) -> Path:
    """Write a network as a bundle; return its directory."""
    directory.mkdir(parents=True)
    model = _onnx(network)
    (directory / "model.onnx").write_bytes(model)
    clips = np.random.default_rng(0).integers(
        0, 60, (GOLDEN_CLIPS, FRAMES, SIDE, SIDE, 3), dtype=np.uint8
    )  # of a dark room
    tensors = [to_tensor(list(clip), SPEC) for clip in clips]
    heatmap = np.concatenate([network.heatmap(tensor) for tensor in tensors])
    arrays = {"inputs": clips, "logits": heatmap.mean(axis=(2, 3, 4)), "heatmap": heatmap}
    for name, array in arrays.items():
        np.save(directory / f"golden_{name}.npy", array)
    # Somebody proved a network, and then exported another one.
    proved = model if network.flaw != "wrong" else _onnx(Network(network.threshold))
    parity = _parity(OnnxSession(proved), tensors, arrays)
    manifest = _manifest(directory, release, parity)
    (directory / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return directory


def _manifest(directory: Path, release: int, parity: Parity) -> Manifest:
    golden = {name: _entry(directory, f"golden_{name}.npy") for name in ("inputs", "logits", "heatmap")}
    return Manifest(
        schema_version=1, name="lamps", task="classify", architecture="two convolutions", release=release,
        min_agent="0.1.0",
        labels=(Label(name="dark", alarm=False), Label(name="lamp", alarm=True)),
        input=SPEC,
        outputs=OutputSpec(logits=(2,), heatmap=(2, FRAMES, GRID, GRID)),
        decision=Decision(
            on_threshold=0.7, off_threshold=0.3, min_duration=0.0, cooldown=0.3, smoothing=1, hop=2,
            temperature=1.0,
        ),
        variants=(
            Variant(
                name="onnx-fp32", runtime="onnx", precision="fp32", mode="clip", opset=17,
                files=(_entry(directory, "model.onnx"),), proof=Proof(parity=parity),
            ),
        ),
        golden=Golden(**golden, tolerance=TOLERANCE),
        provenance=Provenance(
            created=datetime.now(timezone.utc).isoformat(), recipe={}, dataset="0" * 64, split={}, seed=1,
            versions={"onnx": onnx.__version__}, metrics={},
        ),
    )  # fmt: skip


def _parity(session: OnnxSession, tensors: list[Array], expected: dict[str, Array]) -> Parity:
    said = [session.run(tensor) for tensor in tensors]
    logits = np.abs(np.concatenate([one.logits for one in said]) - expected["logits"])
    heatmap = np.abs(np.concatenate([one.heatmap for one in said]) - expected["heatmap"])
    same = np.concatenate([one.logits for one in said]).argmax(axis=1) == expected["logits"].argmax(axis=1)
    return Parity(
        samples=len(tensors), source="pictures of a dark room, drawn",
        logits_max_abs=float(logits.max()), logits_mean_abs=float(logits.mean()),
        heatmap_max_abs=float(heatmap.max()), heatmap_mean_abs=float(heatmap.mean()),
        label_agreement=float(same.mean()), tolerance=TOLERANCE,
    )  # fmt: skip


def _entry(directory: Path, name: str) -> FileEntry:
    data = (directory / name).read_bytes()
    return FileEntry(path=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _onnx(network: Network) -> bytes:
    weights, bias = network.second
    constants: dict[str, Any] = {
        "first": network.first,
        "second": weights if network.flaw != "wrong" else weights * np.float32(0.5),
        "bias": bias,
        "frames": np.array([FRAMES, 3, SIDE, SIDE], np.int64),
        "volume": np.array([1, FRAMES, 2, GRID, GRID], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["clip"], ["ordered"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["ordered", "frames"], ["pictures"]),
        helper.make_node("Conv", ["pictures", "first"], ["cells"], strides=[CELL, CELL]),
        helper.make_node("Relu", ["cells"], ["seen"]),
        helper.make_node("Conv", ["seen", "second", "bias"], ["said"]),
        helper.make_node("Reshape", ["said", "volume"], ["in_order"]),
        helper.make_node("Transpose", ["in_order"], ["plain"], perm=[0, 2, 1, 3, 4]),
        *_flaw(network, constants),
        helper.make_node("ReduceMean", ["heatmap"], ["logits"], axes=[2, 3, 4], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "lamps",
        [helper.make_tensor_value_info("clip", TensorProto.FLOAT, [1, 3, FRAMES, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, [1, 2, FRAMES, GRID, GRID]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _flaw(network: Network, constants: dict[str, Any]) -> list[onnx.NodeProto]:
    """Return the nodes from `plain` to `heatmap`: what is wrong changes no number."""
    if network.flaw not in ("slow", "crashes"):
        return [helper.make_node("Identity", ["plain"], ["heatmap"])]
    nodes = [helper.make_node("ReduceMean", ["clip"], ["light"], keepdims=0)]
    if network.flaw == "slow":
        constants["order"] = np.array([_ORDER, _ORDER], np.int64)
        nodes.append(helper.make_node("Expand", ["light", "order"], ["matrix0"]))
        constants["small"] = np.float32(1 / _ORDER)
        for number in range(_MULTIPLICATIONS):
            product = f"product{number}"
            nodes.append(helper.make_node("MatMul", [f"matrix{number}", "matrix0"], [product]))
            nodes.append(helper.make_node("Mul", [product, "small"], [f"matrix{number + 1}"]))
        nodes.append(helper.make_node("ReduceMean", [f"matrix{_MULTIPLICATIONS}"], ["vain"], keepdims=0))
    else:
        # -2**31 / -1 is one more than the largest int32: an x86 processor traps.
        constants |= {"bright": np.float32(BRIGHT), "two": np.int32(2), "one": np.int32(1)}
        constants["lowest"] = np.array([-(2**31)], np.int32)
        nodes += [
            helper.make_node("Greater", ["light", "bright"], ["is_bright"]),
            helper.make_node("Cast", ["is_bright"], ["count"], to=TensorProto.INT32),
            helper.make_node("Mul", ["count", "two"], ["twice"]),
            helper.make_node("Sub", ["one", "twice"], ["sign"]),
            helper.make_node("Div", ["lowest", "sign"], ["quotient"]),
            helper.make_node("Cast", ["quotient"], ["vain"], to=TensorProto.FLOAT),
        ]
    constants["nothing"] = np.float32(0)
    return [
        *nodes,
        helper.make_node("Mul", ["vain", "nothing"], ["zero"]),
        helper.make_node("Add", ["plain", "zero"], ["heatmap"]),
    ]
