"""One clip of MobileNetV2-3D: ONNX Runtime against PyTorch eager, and pictures against decoding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from paired import compare

from vedette_converters.graph import clip_graph
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.heatmap import overlay
from vedette_edge.manifest import InputSpec
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.stills import encode
from vedette_edge.types import Box
from vedette_train.models import create_model

SPEC = InputSpec(
    frames=16,
    fps=8.0,
    height=128,
    width=128,
    crop="stretch",
    color="rgb",
    axes="NCTHW",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    network = create_model("mobilenet_v2_3d", num_classes=17).eval()
    session = OnnxSession(to_onnx(clip_graph(network, SPEC)).contents[0])  # type: ignore[arg-type]
    clip = np.random.default_rng(0).standard_normal((1, 3, 16, 128, 128), dtype=np.float32)
    tensor = torch.from_numpy(clip)

    def eager() -> None:
        with torch.inference_mode():
            network.forward_with_heatmap(tensor)  # type: ignore[operator]

    yield str(
        compare("16x128x128 clip, ONNX Runtime fp32 against PyTorch eager", lambda: session.run(clip), eager)
    )

    frame = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    evidence = np.random.default_rng(2).random((4, 4), dtype=np.float32)
    whole = Box(0.0, 0.0, 1.0, 1.0)
    yield str(
        compare(
            "720p heatmap picture (overlay and JPEG) against one inference",
            lambda: encode(overlay(frame, evidence, whole)),
            lambda: session.run(clip),
        )
    )
