"""Every network of the table becomes one ONNX file that gives its logits and its heatmap."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import pytest
import torch
from model_helpers import seasoned
from train_helpers import input_spec

from vedette_converters.graph import clip_graph
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.manifest import FlowSpec
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_train.models import MODELS, create_for_input

CLASSES, BATCH = 3, 3
# Each entry of the table once, and again where another argument makes another graph.
CASES = {
    "early_fusion_2d": {},
    "late_fusion": {"aggregation": "max"},
    "per_frame_2d": {"aggregation": "max"},
    "r3d_18": {},
    "simple_3d": {},
    "ds3d_fgattnet": {},
    "ds3d_baseline": {},
}
OTHERS = (
    ("per_frame_2d", {"aggregation": "mean"}),
    ("ds3d_baseline", {"fusion": "gated"}),
)
SLOW = ("r3d_18", "ds3d_fgattnet", "ds3d_baseline")


def test_no_network_of_the_table_is_left_out():
    elsewhere = {MODELS["mobilenet_v2_3d"]}  # in targets/test_onnx.py
    assert {MODELS[name] for name in CASES} | elsewhere == set(MODELS.values())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(name, arguments, marks=pytest.mark.slow if name in SLOW else ())
        for name, arguments in (*CASES.items(), *OTHERS)
    ],
)
def test_the_exported_graph_gives_what_the_network_gives(name, arguments):
    torch.manual_seed(3)
    streams = {"streams": "rgb+flow", "flow": FlowSpec()} if name.startswith("ds3d") else {}
    # Sides that 3 cells do not divide.
    spec = input_spec(frames=8, height=40, width=64, **streams)
    clips = torch.randn(BATCH, spec.channels, spec.frames, spec.height, spec.width)
    network = seasoned(create_for_input(name, CLASSES, spec, **arguments), clips, gain=0.6)
    found = OnnxSession(to_onnx(clip_graph(network, spec)).contents[0]).run(clips.numpy())
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(clips)
    scale = np.maximum(1.0, heatmap.abs().numpy())
    assert heatmap.std() > 0.01
    assert np.abs(found.logits - logits.numpy()).max() < 1e-4
    assert (np.abs(found.heatmap - heatmap.numpy()) / scale).max() < 1e-4
