"""A causal network that was converted says on a camera's stream what it says of clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import seasoned
from runtime_helpers import variant
from train_helpers import input_spec

from vedette_converters.graph import clip_graph
from vedette_converters.reference import stream_outputs
from vedette_converters.streaming import stream_graph
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.clips import FrameStream
from vedette_edge.judges import ClipJudge, StreamJudge
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes import load
from vedette_edge.types import Frame
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d

pytestmark = pytest.mark.slow

SIDE, LENGTH = 32, 4
SPEC = input_spec(frames=LENGTH, height=SIDE, width=SIDE)
SCALE = Scale(1.5)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = MobileNetV2_3d(3, width_mult=0.25, mode="causal")
    return seasoned(network, torch.randn(2, 3, 6, SIDE, SIDE))


@pytest.fixture(scope="module")
def judges(network):
    """Makes a judge of either mode, from the same weights."""
    clip = load(to_onnx(clip_graph(network, SPEC)).contents, variant("onnx", "clip"), threads=1)
    graph = stream_graph(network, SPEC)
    stream = load(to_onnx(graph).contents, variant("onnx", state=graph.state), threads=1)
    return lambda hop: (StreamJudge(SPEC, hop, SCALE, stream), ClipJudge(SPEC, hop, SCALE, clip))


def pictures(count, start=0.0, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)
    return [Frame(image, start + index / SPEC.fps) for index, image in enumerate(images)]


def verdicts_of(judge, frames):
    return [verdict for frame in frames for verdict in judge.push(frame)[0]] + judge.finish()


def assert_same(found, wanted):
    assert (found.start, found.end, found.middle) == (wanted.start, wanted.end, wanted.middle)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-4)
    scale = np.maximum(1.0, np.abs(wanted.heatmap))
    assert (np.abs(found.heatmap - wanted.heatmap) / scale).max() <= 1e-4


def test_a_clip_that_begins_a_stream_gets_the_same_verdict_after_any_gap_and_padded(judges):
    stream, clips = judges(hop=99)
    # Three stretches with gaps between them; the clip of each is all that the network saw.
    frames = [frame for seed in range(3) for frame in pictures(LENGTH, 100.0 * seed, seed)]
    for end in (len(frames), 2):
        found, wanted = (verdicts_of(judge, frames[:end]) for judge in (stream, clips))
        assert len(found) == len(wanted) == (3 if end > LENGTH else 1)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)


def test_later_verdicts_are_those_of_the_clip_network_that_sees_the_whole_past(network, judges):
    (stream, clips), frames = judges(hop=2), pictures(12)
    found, wanted = verdicts_of(stream, frames), verdicts_of(clips, frames)
    sampled = FrameStream(SPEC)
    tensor = np.concatenate([sampled.push(frame)[0] for frame in frames], axis=2)
    reference = stream_outputs(network, tensor, LENGTH)
    assert [one.middle for one in found] == [one.middle for one in wanted]
    assert len(found) == 5
    for number, verdict in enumerate(found):
        last = LENGTH - 1 + 2 * number
        np.testing.assert_allclose(
            verdict.probabilities, SCALE.probabilities(reference.logits[last]), atol=1e-4
        )
        maps = reference.heatmap[last - LENGTH + 1 : last + 1, :, 0].swapaxes(0, 1)
        np.testing.assert_allclose(verdict.heatmap, maps, rtol=1e-3, atol=1e-3)
