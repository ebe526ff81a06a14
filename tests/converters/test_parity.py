"""What is measured of a variant, with sessions that are off by a known amount."""

import numpy as np
import pytest

from vedette_converters.parity import judge, prove
from vedette_converters.plan import BOUNDS
from vedette_converters.samples import Seen
from vedette_edge.errors import ProofError
from vedette_edge.probabilities import Scale
from vedette_edge.types import Outputs


class Echo:
    """A session that answers with prepared outputs, one clip at a time, off by an amount."""

    def __init__(self, outputs, logits=0.0, heatmap=0.0):
        self._outputs, self._off, self.shapes = outputs, (logits, heatmap), []

    def run(self, clips):
        one = slice(len(self.shapes), len(self.shapes) + 1)
        self.shapes.append(clips.shape)
        return Outputs(self._outputs.logits[one] + self._off[0], self._outputs.heatmap[one] + self._off[1])


class EchoStream:
    """A streaming session that answers with prepared outputs, all frames at once."""

    def __init__(self, outputs):
        self._outputs = outputs

    def open_stream(self):
        return self

    def push(self, frames):
        assert frames.shape[2] == len(self._outputs.logits)
        return self._outputs

    def reset(self):
        pass


def outputs(*logits):
    rows = np.array(logits, np.float32)
    picture = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 1, 3)
    return Outputs(rows, rows[:, :, None, None, None] + picture)


def seen(folder, reference, truth=0, judged=slice(None), stream=False):
    windows = len(reference.logits)
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, np.zeros((1, 3, windows, 8, 8) if stream else (windows, 3, 4, 8, 8), np.float32))
    return Seen(truth, path, reference, judged)


def test_a_variant_judges_one_window_at_a_time_as_the_device_does(tmp_path):
    given = outputs([0.0, 1.0], [4.0, 0.0], [0.0, 1.0])
    session = Echo(given)
    judged = judge(session, [seen(tmp_path, given, truth=1)], Scale())
    assert session.shapes == [(1, 3, 4, 8, 8)] * 3
    assert (judged.truth, judged.found, judged.expected, judged.rows) == ((1,), (0,), (0,), 3)


def test_a_stream_is_judged_by_the_frames_at_which_a_clip_would_end(tmp_path):
    given = outputs([9.0, 0.0], [9.0, 0.0], [0.0, 1.0], [9.0, 0.0], [0.0, 1.0])
    sample = seen(tmp_path, given, truth=1, judged=slice(2, None, 2), stream=True)
    judged = judge(EchoStream(given), [sample], Scale())
    assert judged.found == (1,)
    assert judged.rows == 5


@pytest.mark.parametrize(("temperature", "found"), [(1.0, 0), (100.0, 1)])
def test_the_temperature_weighs_the_windows(temperature, found, tmp_path):
    # Two windows lean to 0 and one is sure of 1: flattened, being sure counts for more.
    given = outputs([3.0, 0.0], [3.0, 0.0], [0.0, 40.0])
    assert judge(Echo(given), [seen(tmp_path, given)], Scale(temperature)).found == (found,)


@pytest.mark.parametrize(("logits", "heatmap"), [(0.5, 0.0), (0.0, 0.25)])
def test_the_difference_is_that_of_the_worst_window(logits, heatmap, tmp_path):
    given = outputs([0.5, 0.0], [0.0, 0.25])
    found = judge(Echo(given, logits, heatmap), [seen(tmp_path, given)], Scale()).difference
    assert found.logits_max == pytest.approx(logits)
    assert found.heatmap_max <= max(heatmap, 1e-6)
    assert (found.logits_max, found.heatmap_max) != (0, 0)


def test_an_exact_variant_must_give_the_outputs_themselves(tmp_path):
    given = outputs([1.0, 0.0])
    off = judge(Echo(given, heatmap=1e-2), [seen(tmp_path, given)], Scale())
    with pytest.raises(ProofError, match=r"largest difference .* \(heatmap\), allowed 1e-04"):
        prove(off, "fp32", BOUNDS, "test")
    prove(off, "int8", BOUNDS, "test")


def test_outputs_that_are_not_numbers_are_never_proved(tmp_path):
    given = outputs([0.5, 0.0])
    judged = judge(Echo(given, float("nan"), float("nan")), [seen(tmp_path, given)], Scale())
    for precision in ("fp32", "int8"):
        with pytest.raises(ProofError):
            prove(judged, precision, BOUNDS, "test")


def test_a_variant_that_is_not_exact_must_keep_score_label_heatmap_and_accuracy(tmp_path):
    given, other = outputs([1.0, 0.0], [1.0, 0.0]), outputs([0.0, 1.0], [0.0, 1.0])
    turned = Outputs(other.logits, -other.heatmap)
    judged = judge(Echo(turned), [seen(tmp_path, given, truth=0)], Scale())
    assert judged.drop == 1.0
    with pytest.raises(ProofError) as caught:
        prove(judged, "int8", BOUNDS, "test")
    for phrase in (
        "labels agree on 0.000",
        "scores differ by 0.462",
        "heatmaps correlate by -1.000",
        "accuracy",
    ):
        assert phrase in str(caught.value)


def test_the_proof_says_what_was_compared(tmp_path):
    right, wrong = outputs([1.0, 0.0], [1.0, 0.0]), outputs([0.0, 1.0])
    both = outputs([1.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    samples = [seen(tmp_path, right), seen(tmp_path, wrong)]
    proof = prove(judge(Echo(both, logits=1e-5), samples, Scale()), "fp32", BOUNDS, "fold 1 of 3")
    assert proof.parity.samples == 3
    assert proof.parity.source == "windows of 2 held-out samples"
    assert proof.parity.logits_max_abs == pytest.approx(1e-5, rel=0.1)
    assert proof.parity.label_agreement == 1.0
    assert proof.parity.tolerance == 1e-4
    assert (proof.accuracy.value, proof.accuracy.samples) == (0.5, 2)
    assert proof.accuracy.split == "fold 1 of 3"
    assert proof.accuracy.low < 0.5 < proof.accuracy.high
    assert (proof.drop, proof.bounds) == (0.0, None)
