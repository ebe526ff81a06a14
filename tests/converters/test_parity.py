"""What is measured of a variant, with sessions that are off by a known amount."""

import numpy as np
import pytest
import torch
from train_helpers import input_spec

from vedette_converters.parity import difference, judge, reference_outputs, write_proof
from vedette_converters.samples import VideoClips
from vedette_edge.types import Outputs
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.runs import Sample

SPEC = input_spec()


class Echo:
    """A session that answers with prepared outputs, one clip at a time, off by an amount."""

    def __init__(self, outputs, logits=0.0, heatmap=0.0):
        self._outputs, self._off, self.shapes = outputs, (logits, heatmap), []

    def run(self, clips):
        index = len(self.shapes)
        self.shapes.append(clips.shape)
        one = slice(index, index + 1)
        return Outputs(self._outputs.logits[one] + self._off[0], self._outputs.heatmap[one] + self._off[1])


def outputs(*logits):
    rows = np.array(logits, np.float32)
    return Outputs(rows, np.tile(rows[:, :, None, None, None], (1, 1, 2, 1, 3)))


def video(windows):
    sample = Sample(name="left/a.mp4", label="left", group="a")
    frames = np.zeros((windows, 4, 32, 64, 3), np.uint8)
    return VideoClips(sample, frames, np.zeros((windows, 3, 4, 32, 64), np.float32))


def test_the_reference_is_the_network_in_batches_of_any_size():
    torch.manual_seed(0)
    network = MobileNetV2_3d(2, width_mult=0.25).eval()
    clips = torch.randn(9, 3, 2, 32, 32)
    found = reference_outputs(network, clips.numpy())
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(clips)
    assert np.allclose(found.logits, logits, atol=1e-5)
    assert np.allclose(found.heatmap, heatmap, atol=1e-5)


def test_a_variant_judges_one_window_at_a_time_as_the_device_does():
    given = outputs([0.0, 1.0], [4.0, 0.0], [0.0, 1.0])
    session = Echo(given)
    judged = judge(video(3), 1, given, session, 1.0)
    assert session.shapes == [(1, 3, 4, 32, 64)] * 3
    assert np.array_equal(judged.outputs.heatmap, given.heatmap)
    assert (judged.truth, judged.found) == (1, 0)


@pytest.mark.parametrize(("temperature", "found"), [(1.0, 0), (100.0, 1)])
def test_the_temperature_weighs_the_windows(temperature, found):
    # Two windows lean to 0 and one is sure of 1: flattened, being sure counts for more.
    given = outputs([3.0, 0.0], [3.0, 0.0], [0.0, 40.0])
    assert judge(video(3), 0, given, Echo(given), temperature).found == found


@pytest.mark.parametrize(("logits", "heatmap"), [(0.5, 0.0), (0.0, 0.25)])
def test_the_difference_is_that_of_the_worst_window(logits, heatmap):
    given = outputs([0.5, 0.0], [0.0, 0.25])
    judged = [
        judge(video(2), 0, given, Echo(given), 1.0),
        judge(video(2), 0, given, Echo(given, logits, heatmap), 1.0),
    ]
    found = difference(judged)
    assert (found.logits_max, found.heatmap_max) == (logits, heatmap)
    assert (found.logits_mean, found.heatmap_mean) == (logits / 2, heatmap / 2)
    assert found.within(0.5)
    assert not found.within(0.2)


def test_outputs_that_are_not_numbers_are_never_within():
    given = outputs([0.5, 0.0])
    found = difference([judge(video(1), 0, given, Echo(given, float("nan")), 1.0)])
    assert not found.within(1e9)


def test_the_proof_says_what_was_compared():
    right, wrong = outputs([1.0, 0.0], [1.0, 0.0]), outputs([0.0, 1.0])
    judged = [
        judge(video(2), 0, right, Echo(right), 1.0),
        judge(video(1), 0, wrong, Echo(wrong, logits=1e-3), 1.0),
    ]
    proof = write_proof(judged, difference(judged), 0.01, "fold 1 of 3")
    assert proof.parity.samples == 3
    assert proof.parity.source == "windows of 2 held-out videos"
    assert proof.parity.logits_max_abs == pytest.approx(1e-3, rel=1e-3)
    assert proof.parity.label_agreement == 1.0
    assert proof.parity.tolerance == 0.01
    assert (proof.accuracy.value, proof.accuracy.samples) == (0.5, 2)
    assert proof.accuracy.split == "fold 1 of 3"
    assert proof.accuracy.low < 0.5 < proof.accuracy.high
