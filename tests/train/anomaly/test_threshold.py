"""Thresholds from good pictures, and what they can promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from vedette_edge.errors import DataError
from vedette_train.anomaly.recipe import ThresholdSettings
from vedette_train.anomaly.threshold import false_alarm_interval, fit_threshold, needed_pictures

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=80)


def test_mean_and_deviations_as_published():
    found = fit_threshold([1.0, 2.0, 3.0], ThresholdSettings(rule="mu_k_sigma", k=3.0))
    assert found.value == pytest.approx(2.0 + 3 * np.sqrt(2 / 3))
    assert (found.alarms, found.pictures, found.rule) == (0, 3, "mean + 3 deviations")


def test_a_quantile_of_the_scores():
    found = fit_threshold(np.arange(101.0).tolist(), ThresholdSettings(rule="quantile", quantile=0.9))
    assert found.value == pytest.approx(90.0)
    assert found.alarms == 11


@given(SCORES, st.floats(1, 900))
def test_false_alarms_never_exceed_the_rate_on_the_pictures_themselves(scores, rate):
    settings = ThresholdSettings(rule="false_alarms", max_false_alarms_per_1000=rate)
    found = fit_threshold(scores, settings)
    assert found.alarms <= rate / 1000 * len(scores)
    assert found.alarms == sum(score >= found.value for score in scores)
    assert found.low <= found.alarms / found.pictures <= found.high


def test_too_few_pictures_promise_nothing_and_say_so():
    settings = ThresholdSettings(rule="false_alarms", max_false_alarms_per_1000=10.0)
    few = fit_threshold(np.arange(50.0).tolist(), settings)
    assert "50 held-out good pictures cannot promise 10 false alarms in 1000" in few.warning
    assert "at least 368" in few.warning
    many = fit_threshold(
        np.arange(368.0).tolist(), settings.model_copy(update={"max_false_alarms_per_1000": 30.0})
    )
    assert many.alarms == 11
    enough = fit_threshold([0.0] * 368, settings)
    assert (enough.alarms, enough.warning) == (0, "")


@given(st.floats(0.5, 500))
def test_the_number_of_pictures_needed_is_the_least_that_keeps_the_promise(rate):
    count = needed_pictures(rate)
    assert false_alarm_interval(0, count)[1] <= rate / 1000 * (1 + 1e-9)
    assert count == 1 or false_alarm_interval(0, count - 1)[1] > rate / 1000


def test_the_interval_is_clopper_and_pearson_s():
    low, high = false_alarm_interval(3, 40)
    assert binom.sf(2, 40, low) == pytest.approx(0.025)
    assert binom.cdf(3, 40, high) == pytest.approx(0.025)
    assert false_alarm_interval(0, 10)[0] == 0.0
    assert false_alarm_interval(10, 10)[1] == 1.0


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, float("nan")]])
def test_scores_that_say_nothing_are_refused(scores):
    with pytest.raises(DataError, match="at least two good pictures"):
        fit_threshold(scores, ThresholdSettings())
