"""The fast separable convolutions are the plain ones, for any shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vedette_train.models.separable import SeparableConv3d, SpatialConv3d, TemporalConv3d

lengths = st.integers(1, 5)


def results(function, clip, weight):
    found = function(clip)
    pull = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    return found, *torch.autograd.grad(found, (clip, weight), pull)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3), lengths, lengths, lengths, st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_folded_convolutions_are_the_3d_ones(channels, t, h, w, spatial, last, seed):
    torch.manual_seed(seed)
    layer = (SpatialConv3d(channels, 4) if spatial else TemporalConv3d(channels)).double()
    clip = torch.randn(2, channels, t, h, w, dtype=torch.float64)
    if last:
        clip = clip.to(memory_format=torch.channels_last_3d)
    clip.requires_grad_()
    fast = layer.by_frames if spatial else layer.by_rows
    for mine, its in zip(
        results(fast, clip, layer.weight),
        results(lambda x: nn.Conv3d.forward(layer, x), clip, layer.weight),
        strict=True,
    ):
        assert mine.shape == its.shape
        assert torch.allclose(mine, its, atol=1e-10)


@pytest.mark.parametrize(
    ("training", "grad", "dtypes"),
    [(True, True, {4}), (False, False, {4}), (False, True, {5})],
    ids=["training", "inference", "traced through gradients"],
)
def test_who_reads_the_graph_finds_the_3d_convolution(training, grad, dtypes):
    layer, seen = SpatialConv3d(2, 2).train(training), set()

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if "convolution" in func.name():
                seen.add(args[0].ndim)
            return func(*args, **(kwargs or {}))

    with torch.set_grad_enabled(grad), Watch():
        layer(torch.randn(1, 2, 3, 4, 4))
    assert seen == dtypes


def test_an_exported_graph_holds_3d_convolutions():
    layer = SeparableConv3d(2, 4).eval()
    program = torch.export.export(layer, (torch.randn(1, 2, 3, 4, 4),))
    weights = [
        node.args[1].meta["val"].ndim
        for node in program.graph.nodes
        if node.op == "call_function" and "conv" in str(node.target)
    ]
    assert weights == [5, 5]


@pytest.mark.parametrize(("i", "o"), [(2, 16), (16, 16), (64, 128)])
def test_a_separable_convolution_has_the_parameters_of_its_formula(i, o):
    layer = SeparableConv3d(i, o)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 9 * i * o + 3 * o * o + 2 * o


def test_between_the_two_convolutions_stands_a_relu_and_the_activation_comes_last():
    layer = SeparableConv3d(2, 4, "sigmoid").eval()
    clip = torch.randn(1, 2, 3, 5, 6)
    between, out = layer.both(clip)
    wanted = nn.functional.conv3d(clip, layer.spatial.weight, padding=(0, 1, 1)).relu()
    assert torch.allclose(between, wanted, atol=1e-6)
    after = layer.bn(nn.functional.conv3d(wanted, layer.temporal.weight, padding=(1, 0, 0)))
    assert torch.allclose(out, after.sigmoid(), atol=1e-6)
