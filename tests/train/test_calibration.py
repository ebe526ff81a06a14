"""Temperature scaling finds the temperature that was put in; calibration errors are worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from vedette_train.calibration import BOUNDS, fit_temperature, negative_log_likelihood, reliability


def drawn(temperature, n=20000, classes=3, seed=0):
    """Logits whose probabilities at `temperature` are those that the classes were drawn with."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    cumulative = softmax(logits / temperature, axis=1).cumsum(axis=1)
    truth = (rng.random((n, 1)) > cumulative).sum(axis=1).clip(max=classes - 1)
    return logits.astype(np.float32), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_classes_is_found_again_and_calibrates(temperature):
    logits, truth = drawn(temperature)
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(temperature, rel=0.05)
    after, bins = reliability(logits, truth, found)
    assert after.ece < 0.015
    assert bins.count.sum() == after.windows == len(truth)
    full = bins.count > 500
    assert bins.accuracy[full] == pytest.approx(bins.confidence[full], abs=0.06)
    if temperature != 1.0:
        before, _ = reliability(logits, truth, 1.0)
        assert before.ece > 3 * after.ece
        assert before.nll > after.nll


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 99))
def test_no_other_temperature_within_the_bounds_is_more_likely(classes, n, seed):
    rng = np.random.default_rng(seed)
    logits, truth = rng.normal(0, 3, (n, classes)), rng.integers(0, classes, n)
    found = fit_temperature(logits, truth)
    assert BOUNDS[0] <= found <= BOUNDS[1]
    best = negative_log_likelihood(logits, truth, found)
    for other in np.geomspace(*BOUNDS, 25):
        assert best <= negative_log_likelihood(logits, truth, other) + 1e-5


def test_windows_that_are_all_right_end_at_the_bound():
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(BOUNDS[0], rel=0.01)


def test_the_likelihood_is_that_of_scikit_learn():
    logits, truth = drawn(1.0, n=50)
    wanted = log_loss(truth, softmax(logits.astype(float) / 2, axis=1), labels=[0, 1, 2])
    assert negative_log_likelihood(logits, truth, 2.0) == pytest.approx(wanted)


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_windows():
    # Three windows sure to 0.8, two of them right; one sure to 0.6, wrong.
    sure = np.log([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    found, bins = reliability(sure, np.array([0, 0, 1, 0]), 1.0)
    assert found.ece == pytest.approx((3 * abs(2 / 3 - 0.8) + 1 * 0.6) / 4)
    assert sorted(bins.count.tolist())[-2:] == [1, 3]
    assert found.to_dict() == {"ece": found.ece, "nll": found.nll, "windows": 4}


def test_a_probability_of_one_is_in_the_last_bin():
    _, bins = reliability(np.array([[1000.0, 0.0]]), np.array([0]), 1.0)
    assert bins.count.tolist() == [0] * 9 + [1]
