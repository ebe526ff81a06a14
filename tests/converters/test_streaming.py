import pytest
import torch
from model_helpers import seasoned
from train_helpers import input_spec

from vedette_converters.reference import past_frames, stream_outputs
from vedette_converters.streaming import stream_graph, streams
from vedette_edge.errors import BundleError
from vedette_train.models import create_for_input
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d

SIDE = 32


def causal(pooling="mean", padding="symmetric", mode="causal"):
    torch.manual_seed(0)
    network = MobileNetV2_3d(3, width_mult=0.25, mode=mode, time_pooling=pooling, padding=padding)
    return seasoned(network, torch.randn(2, 3, 6, SIDE, SIDE))


def spec_of(frames):
    return input_spec(frames=frames, height=SIDE, width=SIDE)


def follow(graph, frames):
    """Run a stream's graph over frames (1, 3, n, H, W); return logits (n, K) and maps (n, K, 1, H', W')."""
    state = [torch.zeros(tensor.shape) for tensor in graph.state]
    logits, maps = [], []
    for index in range(frames.shape[2]):
        one, heatmap, *state = graph.module(frames[:, :, index : index + 1], *state)
        logits.append(one)
        maps.append(heatmap)
    return torch.cat(logits), torch.cat(maps)


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("padding", ["symmetric", "end"])
@torch.no_grad()
def test_every_frame_of_a_stream_gets_what_the_clip_network_gives(pooling, padding):
    network, clip = causal(pooling, padding), torch.randn(1, 3, 9, SIDE, SIDE)
    logits, maps = follow(stream_graph(network, spec_of(4)), clip)
    # Until the window is full, the clip network itself says the same of the clip so far.
    for end in (1, 3, 4):
        one, heatmap = network.forward_with_heatmap(clip[:, :, :end])
        torch.testing.assert_close(logits[end - 1 : end], one, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(maps[end - 1], heatmap[0, :, -1:], atol=1e-8, rtol=1e-8)
    # And from then on, each frame keeps the past that it saw: the features of the whole clip.
    features = network.features(clip)
    for end in range(5, 10):
        one, heatmap = network.evidence(features[:, :, end - 4 : end])
        torch.testing.assert_close(logits[end - 1 : end], one, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(maps[end - 1], heatmap[0, :, -1:], atol=1e-8, rtol=1e-8)


@torch.no_grad()
def test_a_stream_of_clips_of_one_frame_has_no_window():
    network, clip = causal(), torch.randn(1, 3, 2, SIDE, SIDE)
    graph = stream_graph(network, spec_of(1))
    assert "window" not in [tensor.name for tensor in graph.state]
    logits, _ = follow(graph, clip)
    torch.testing.assert_close(logits[:1], network(clip[:, :, :1]), atol=1e-4, rtol=1e-4)


def test_the_state_is_named_by_its_layer_and_goes_out_as_it_came_in():
    graph = stream_graph(causal(), spec_of(4))
    names = [tensor.name for tensor in graph.state]
    assert names[:2] == ["features_0_conv_first", "features_0_conv_second"]
    assert names[-2:] == ["window", "seen"]
    assert graph.inputs == ["frame", *names]
    assert graph.outputs == ["logits", "heatmap", *(f"next_{name}" for name in names)]
    found = graph.module(*graph.examples.values())
    assert [tuple(value.shape) for value in found[2:]] == [tensor.shape for tensor in graph.state]


@pytest.mark.parametrize("mode", ["standard", "high_temporal"])
def test_a_network_that_sees_the_future_cannot_stream(mode):
    network = causal(mode=mode)
    assert not streams(network)
    with pytest.raises(BundleError, match=r"model\.mode: causal"):
        stream_graph(network, spec_of(4))
    with pytest.raises(BundleError, match="sees the future"):
        stream_outputs(network, torch.zeros(1, 3, 4, SIDE, SIDE).numpy(), 4)


def test_a_network_of_another_kind_cannot_stream():
    spec = spec_of(4)
    with pytest.raises(BundleError, match="frame by frame"):
        stream_graph(create_for_input("simple_3d", 3, spec), spec)


@torch.no_grad()
def test_the_reference_of_a_long_stream_is_made_in_blocks_that_nobody_notices():
    network = causal()
    frames = torch.randn(1, 3, 40, SIDE, SIDE)
    found = stream_outputs(network, frames.numpy(), 4)
    logits, heatmap = network.evidence(network.features(frames)[:, :, 36:40])
    assert past_frames(network) == 2 * 18
    torch.testing.assert_close(torch.from_numpy(found.logits[39:]), logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(torch.from_numpy(found.heatmap[39]), heatmap[0, :, -1:], atol=1e-3, rtol=1e-3)
    assert found.heatmap.shape[:3] == (40, 3, 1)
