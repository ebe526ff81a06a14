import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_helpers import seasoned
from torch import nn

from vedette_converters.folding import fold_batch_norm
from vedette_converters.graph import clip_graph
from vedette_converters.lowering import lowered_graph, windows
from vedette_edge.manifest import Cells, FlowSpec, InputSpec
from vedette_train.models import create_for_input

FRAMES, SIDE = 8, 32


def spec_of(channels=3, frames=FRAMES, side=SIDE):
    return InputSpec(
        frames=frames,
        fps=8.0,
        height=side,
        width=side,
        crop="stretch",
        color="rgb",
        axes="NCTHW",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        streams="rgb+flow" if channels == 5 else "rgb",
        flow=FlowSpec() if channels == 5 else None,
    )


class Mapped(nn.Module):
    """A network of one part, whose output is both logits and map."""

    heatmap_cells = Cells(stride=1.0, first=0.5)

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward_with_heatmap(self, x):
        found = self.part(x)
        return found.mean(dim=(2, 3, 4)), found


def operators(module, clips):
    program = torch.export.export(module, (clips,))
    return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}


def assert_same(part, clips, atol=1e-5):
    network = Mapped(part).eval()
    spec = spec_of(3, clips.shape[2], clips.shape[3])
    graph = lowered_graph(network, spec)
    with torch.no_grad():
        wanted, found = network.forward_with_heatmap(clips), graph.module(clips)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=atol, rtol=1e-5)
    return graph


@settings(max_examples=12, deadline=None)
@given(
    side=st.sampled_from([(1, 1), (1, 3), (3, 1), (3, 3), (7, 3)]),
    stride=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
    groups=st.sampled_from([1, 3]),
    bias=st.booleans(),
    frames=st.integers(4, 9),
)
def test_any_3d_convolution_is_a_sum_of_2d_ones(side, stride, groups, bias, frames):
    time, space = side
    conv = nn.Conv3d(
        3,
        6,
        (time, space, space),
        (stride[0], stride[1], stride[1]),
        padding=(time // 2, space // 2, space // 2),
        groups=groups,
        bias=bias,
    )
    graph = assert_same(conv, torch.randn(1, 3, frames, 8, 8))
    assert not any("conv3d" in name for name in operators(graph.module, torch.randn(1, 3, frames, 8, 8)))


def test_a_kernel_too_large_to_be_stored_twice_sees_zeros_at_the_ends():
    conv = nn.Sequential(nn.Conv3d(3, 96, 1), nn.Conv3d(96, 240, 3, padding=1))
    graph = assert_same(conv, torch.randn(1, 3, 4, 8, 8), atol=1e-4)
    names = [name for name, _ in graph.module.named_buffers() if "part.1" in name and "tap" in name]
    assert names == ["constants.network.part.1.taps012"]


@pytest.mark.parametrize("side", [(1, 2, 2), (2, 2, 2), (4, 1, 1), 2])
def test_any_3d_maximum_is_one_of_2d_ones(side):
    assert_same(nn.MaxPool3d(side), torch.randn(1, 3, 8, 8, 8))


def test_batch_norm_behind_a_convolution_vanishes_and_any_other_stays():
    part = nn.Sequential(nn.BatchNorm3d(3), nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU6())
    seasoned(part, torch.randn(4, 3, 4, 8, 8))
    graph = assert_same(part, torch.randn(1, 3, 4, 8, 8))
    program = torch.export.export(graph.module, (torch.randn(1, 3, 4, 8, 8),))
    norms = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert len(norms) == 4  # the one that stays, for each frame


def test_folding_leaves_the_network_as_it_was():
    part = seasoned(nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)), torch.randn(2, 3, 2, 4, 4))
    before = copy.deepcopy(part.state_dict())
    fold_batch_norm(torch.export.export(part, (torch.randn(1, 3, 2, 4, 4),)).module())
    assert all(torch.equal(before[name], tensor) for name, tensor in part.state_dict().items())


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2))
def test_a_window_sees_the_frames_that_a_convolution_would(length, side, stride, padding):
    if length + 2 * padding < side:
        return
    signal = torch.arange(1.0, length + 1)
    kernel = torch.arange(1.0, side + 1)
    wanted = torch.nn.functional.conv1d(
        signal[None, None], kernel[None, None], stride=stride, padding=padding
    )
    found = [
        sum(kernel[tap] * signal[frame] for tap, frame in seen)
        for seen in windows(length, side, stride, padding)
    ]
    assert [float(value) for value in found] == wanted[0, 0].tolist()


NETWORKS = [
    *[
        (
            "mobilenet_v2_3d",
            {"width_mult": 0.25, "mode": mode, "padding": padding, "time_pooling": pooling},
            3,
        )
        for mode, padding, pooling in (
            ("standard", "symmetric", "mean"),
            ("high_temporal", "end", "max"),
            ("causal", "symmetric", "max"),
        )
    ],
    ("ds3d_fgattnet", {}, 5),
    *[("ds3d_baseline", {"fusion": fusion}, 5) for fusion in ("concat", "fgf")],
    ("simple_3d", {}, 3),
    ("per_frame_2d", {}, 3),
    ("per_frame_2d", {"aggregation": "max"}, 3),
    ("early_fusion_2d", {}, 3),
    ("late_fusion", {"aggregation": "max"}, 3),
    ("r3d_18", {}, 3),
]


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("name", "arguments", "channels"), NETWORKS)
def test_every_network_lowers_exactly_and_into_2d_operators_alone(name, arguments, channels):
    torch.manual_seed(0)
    frames = 4 if name in ("mobilenet_v2_3d", "r3d_18") else FRAMES
    spec = spec_of(channels, frames)
    network = create_for_input(name, 3, spec, **arguments)
    seasoned(network, torch.randn(2, channels, frames, SIDE, SIDE))
    graph, clips = lowered_graph(network, spec), torch.randn(1, channels, frames, SIDE, SIDE)
    with torch.no_grad():
        wanted, found = network.forward_with_heatmap(clips), graph.module(clips)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
    used = operators(graph.module, clips)
    assert not [one for one in used if "3d" in one or "batch_norm" in one]


def test_the_weights_keep_the_names_of_their_layers():
    network = create_for_input("mobilenet_v2_3d", 3, spec_of(), width_mult=0.25).eval()
    layers = {name.rpartition(".")[0] for name, _ in lowered_graph(network, spec_of()).module.named_buffers()}
    known = {name for name, _ in network.named_modules()}
    assert {name.removeprefix("constants.network.") for name in layers} <= known


def test_a_graph_as_it_is_takes_any_number_of_clips():
    network = create_for_input("mobilenet_v2_3d", 3, spec_of(), width_mult=0.25).eval()
    assert clip_graph(network, spec_of()).any_batch
    assert not lowered_graph(network, spec_of()).any_batch
