"""What lowering, int8, streams and pruning gain in each runtime, for MobileNetV2-3D at 16x128x128, width 1.0.

Weights are random: what a layer costs does not depend on them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from inference import SPEC
from paired import compare
from torch import nn

from vedette_converters.graph import CLIP_INPUT, FRAME_INPUT, Feed, Graph, clip_graph
from vedette_converters.lowering import lowered_graph
from vedette_converters.streaming import stream_graph
from vedette_converters.targets import Model, target
from vedette_edge.manifest import Precision, Runtime, Variant
from vedette_edge.runtimes import StreamingSession, load
from vedette_train.models import HeatmapModel, create_model
from vedette_train.slim.remove import slim
from vedette_train.slim.settings import SlimSettings

RUNTIMES: tuple[Runtime, ...] = ("onnx", "openvino", "tflite")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    yield from against_eager()
    yield from streams()
    yield from pruned()


def against_eager() -> Iterator[str]:
    """Each runtime, form and precision against PyTorch eager on the same clip."""
    network, clip = _network("standard"), _clip()
    tensor = torch.from_numpy(clip)

    def eager() -> None:
        with torch.inference_mode():
            network.forward_with_heatmap(tensor)

    for runtime in RUNTIMES:
        for graph in _forms(network, runtime):
            for precision in PRECISIONS:
                _, call = _built(graph, runtime, precision, clip)
                form = "2D" if graph.lowered else "3D"
                yield str(compare(f"{runtime} {precision} {form} against PyTorch eager", call, eager))


def streams() -> Iterator[str]:
    """A fresh score a frame: the stream against the causal clip network run again."""
    network, clip = _network("causal"), _clip()
    stream = stream_graph(network, SPEC)
    for runtime in RUNTIMES:
        for precision in ("fp32", "int8"):
            clips = [_built(graph, runtime, precision, clip)[1] for graph in _forms(network, runtime)]
            _, frame = _built(stream, runtime, precision, clip)
            # Against the faster form: that is what a bundle has.
            best = min(clips, key=_alone)
            yield str(compare(f"{runtime} {precision} frame of a stream against a clip again", frame, best))


def pruned() -> Iterator[str]:
    """Half of the channels removed and int8, against dense fp32 in the same runtime."""
    dense, clip = _network("standard"), _clip()
    slimmed = copy.deepcopy(dense)
    slim(slimmed, SPEC, SlimSettings(ratio=0.5, round_to=8))
    for runtime in RUNTIMES:
        whole = [_built(graph, runtime, "fp32", clip) for graph in _forms(dense, runtime)]
        small = [_built(graph, runtime, "int8", clip) for graph in _forms(slimmed, runtime)]
        before, after = (min(side, key=lambda one: _alone(one[1])) for side in (whole, small))
        found = compare(f"{runtime} half of the channels, int8 against dense fp32", after[1], before[1])
        yield f"{found}   {_bytes(before[0]) / _bytes(after[0]):.1f}x smaller"


def _network(mode: str) -> HeatmapModel:
    torch.manual_seed(0)
    network = create_model("mobilenet_v2_3d", num_classes=17, mode=mode)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()  # type: ignore[return-value]


def _clip() -> np.ndarray:
    shape = (1, SPEC.channels, SPEC.frames, SPEC.height, SPEC.width)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _forms(network: HeatmapModel, runtime: Runtime) -> list[Graph]:
    lowered = lowered_graph(network, SPEC)
    return [lowered] if runtime == "tflite" else [clip_graph(network, SPEC), lowered]


def _built(
    graph: Graph, runtime: Runtime, precision: Precision, clip: np.ndarray
) -> tuple[Model, Callable[[], object]]:
    """Return a model and a call of it: of a clip, or of a frame."""
    model = target(runtime).build(graph, precision, _feeds(graph, clip) if precision == "int8" else (), ())
    state = graph.state if model.state is None else model.state
    variant = Variant.model_construct(  # type: ignore[call-arg]
        name="bench", runtime=runtime, precision=precision, mode=graph.mode, files=(), state=state
    )
    session = load(model.contents, variant)
    if isinstance(session, StreamingSession):
        stream, frame = session.open_stream(), clip[:, :, :1]
        return model, lambda: stream.push(frame)
    return model, lambda: session.run(clip)


def _feeds(graph: Graph, clip: np.ndarray) -> Sequence[Feed]:
    if graph.mode == "clip":
        return [{CLIP_INPUT: clip}]
    return [
        {FRAME_INPUT: clip[:, :, :1], **{one.name: np.zeros(one.shape, np.float32) for one in graph.state}}
    ]


def _alone(call: Callable[[], object]) -> float:
    return compare("", call, call, pairs=3).subject_ms


def _bytes(model: Model) -> int:
    return sum(map(len, model.contents))
