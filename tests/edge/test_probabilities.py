import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.manifest import AnomalySpec
from vedette_edge.probabilities import Scale, softmax

ANOMALY = Scale(anomaly=AnomalySpec(threshold=3.0, scale=0.5, map_low=0.0, map_high=9.0))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=6), st.floats(0.05, 20))
def test_softmax_is_a_distribution_in_the_order_of_the_logits(logits, temperature):
    values = softmax(np.array(logits, np.float32), temperature)
    assert values.dtype == np.float32
    assert values.sum() == pytest.approx(1.0, abs=1e-5)
    assert values.argmax() == np.argmax(logits) or values.max() == values[np.argmax(logits)]


def test_temperature_softens():
    logits = np.array([0.0, 2.0], np.float32)
    assert softmax(logits, 1.0)[1] == pytest.approx(0.8808, abs=1e-4)
    assert softmax(logits, 2.0)[1] == pytest.approx(0.7311, abs=1e-4)


def test_an_anomaly_is_even_at_its_threshold_and_rises_with_its_score():
    values = ANOMALY.probabilities(np.array([[2.5], [3.0], [3.5]], np.float32))
    assert values[:, 0] == pytest.approx([0.2689, 0.5, 0.7311], abs=1e-4)


def test_an_anomaly_far_from_its_threshold_does_not_overflow():
    assert ANOMALY.probabilities(np.array([[-1e9], [1e9]], np.float32))[:, 0] == pytest.approx([0, 1])


def test_labels_are_the_largest_logit_or_the_side_of_the_threshold():
    assert Scale().labels(np.array([[0.0, 2.0], [1.0, 0.0]], np.float32)).tolist() == [1, 0]
    assert ANOMALY.labels(np.array([[2.9], [3.0]], np.float32)).tolist() == [0, 1]
