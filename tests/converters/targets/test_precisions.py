"""Which layers int8 leaves in float, read from the graph."""

import numpy as np
import onnx
import pytest
import torch
from train_helpers import input_spec

from vedette_converters.graph import CLIP_INPUT
from vedette_converters.lowering import lowered_graph
from vedette_converters.targets import target
from vedette_converters.targets.nodes import nodes_of
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d

FRAMES, SIDE, CLIPS = 2, 32, 2


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    network = MobileNetV2_3d(3, width_mult=0.25).eval()
    return lowered_graph(network, input_spec(frames=FRAMES, height=SIDE, width=SIDE))


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).standard_normal((CLIPS, 3, FRAMES, SIDE, SIDE), dtype=np.float32)


def feeds(clips):
    return [{CLIP_INPUT: clip[None]} for clip in clips]


def weights(model):
    """Return, for each convolution of an ONNX model, whether its weight was rounded."""
    graph = onnx.load_from_string(model.contents[0]).graph
    rounded = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return {node.name: node.input[1] in rounded for node in graph.node if node.op_type == "Conv"}


def test_layers_that_are_to_stay_in_float_do(graph, clips):
    build = target("onnx").build
    keep = ["features.3.project.conv"]
    found = weights(build(graph, "int8", feeds(clips[:2]), keep))
    kept = {name: rounded for name, rounded in found.items() if name.startswith(keep[0])}
    assert kept
    assert not any(kept.values())
    assert sum(found.values()) > len(found) / 2


def test_a_layer_that_the_graph_has_lost_leaves_nothing_in_float():
    nodes = ["features.1/Conv_0", "features.10/Conv_1", "features.1.expand/Conv_2/WithoutBiases", "/Add_3"]
    assert nodes_of(nodes, ["features.1"]) == ["features.1.expand/Conv_2/WithoutBiases", "features.1/Conv_0"]
    assert nodes_of(nodes, ["classifier.linear", "features.10"]) == ["features.10/Conv_1"]
