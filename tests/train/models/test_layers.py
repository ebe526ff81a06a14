"""The fast depthwise convolution is the plain one, for any shape."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_train.models.layers import DepthwiseConv3d, InvertedResidual3d, PaddedConv3d

strides = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
lengths = st.integers(1, 5)


def plain(layer, clip):
    """What PyTorch's own 3D convolution gives, with the padding written out."""
    ahead = 0 if layer.causal else 1
    space = (clip.shape[-1] % 2, 1, clip.shape[-2] % 2, 1) if layer.pads_itself else (1, 1, 1, 1)
    padded = F.pad(clip, (*space, 2 - ahead, ahead))
    return F.conv3d(padded, layer.weight, stride=layer.stride, groups=layer.groups)


@settings(deadline=None, max_examples=50)
@given(strides, lengths, lengths, lengths, st.integers(1, 3), st.booleans(), st.booleans())
def test_depthwise_by_time_taps_is_the_3d_convolution(stride, t, h, w, channels, causal, pad_at_end):
    torch.manual_seed(0)
    layer = DepthwiseConv3d(channels, stride, causal=causal, pad_at_end=pad_at_end).double()
    clip = torch.randn(2, channels, t, h, w, dtype=torch.float64, requires_grad=True)
    results = []
    for function in (layer.by_time_taps, layer.eval(), lambda x: plain(layer, x)):
        found = function(clip)
        pull = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)
        results.append((found, *torch.autograd.grad(found, (clip, layer.weight), pull)))
    for other in results[1:]:
        for mine, its in zip(results[0], other, strict=True):
            assert mine.shape == its.shape
            assert torch.allclose(mine, its, atol=1e-10)


def test_the_taps_serve_training_only(monkeypatch):
    layer, clip = DepthwiseConv3d(2), torch.randn(1, 2, 3, 4, 4)
    calls = []
    taps = layer.by_time_taps
    monkeypatch.setattr(layer, "by_time_taps", lambda x: calls.append(x) or taps(x))
    layer.eval()(clip)
    with torch.no_grad():
        layer.train()(clip)
    assert not calls
    layer(clip)
    assert len(calls) == 1


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_padding_keeps_time_height_and_width(kernel, causal):
    layer = PaddedConv3d(2, 4, kernel, causal=causal)
    assert layer(torch.zeros(1, 2, 5, 6, 7)).shape == (1, 4, 5, 6, 7)
    assert layer.bias is None


@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 96), (64, 97)])
def test_padding_at_the_end_is_that_of_tensorflow(height, width):
    layer = PaddedConv3d(1, 1, 3, (1, 2, 2), pad_at_end=True)
    clip = torch.randn(1, 1, 3, height, width)
    down, right = (height % 2, 1), (width % 2, 1)  # what SAME adds around a kernel of 3 at a stride of 2
    padded = F.pad(clip, (*right, *down, 1, 1))
    expected = F.conv3d(padded, layer.weight, stride=(1, 2, 2))
    assert torch.equal(layer(clip), expected)
    assert expected.shape[-2:] == (-(-height // 2), -(-width // 2))


@pytest.mark.parametrize(
    ("channels", "stride", "adds"),
    [((4, 4), (1, 1, 1), True), ((4, 6), (1, 1, 1), False), ((4, 4), (2, 1, 1), False)],
)
def test_a_block_adds_its_input_where_the_shapes_allow_it(channels, stride, adds):
    block = InvertedResidual3d(*channels, stride, 6, causal=False).eval()
    torch.nn.init.zeros_(block.project.bn.weight)  # leaves only what is added
    clip = torch.randn(1, 4, 4, 4, 4)
    found = block(clip)
    assert torch.equal(found, clip if adds else torch.zeros_like(found))


def test_a_block_without_expansion_has_no_layer_for_it():
    assert isinstance(InvertedResidual3d(4, 4, (1, 1, 1), 1, causal=False).expand, torch.nn.Identity)
