from __future__ import annotations

import pytest

from vedette_edge.metrics import Durations, resident_bytes


def test_durations_are_told_in_milliseconds():
    durations = Durations()
    for milliseconds in range(1, 101):
        durations.add(milliseconds / 1000)
    spread = durations.percentiles()
    assert (spread.count, spread.max) == (100, 100.0)
    assert spread.p50 == pytest.approx(50.5)
    assert spread.p95 == pytest.approx(95.05)


def test_only_the_latest_thousand_are_kept_but_all_are_counted():
    durations = Durations()
    durations.add(9.0)
    for _ in range(1000):
        durations.add(0.001)
    assert durations.percentiles().max == 1.0
    assert durations.percentiles().count == 1001


def test_no_durations_are_zeros():
    assert Durations().percentiles().model_dump() == {"count": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}


def test_a_python_with_numpy_takes_more_than_ten_megabytes():
    assert resident_bytes() > 10_000_000


@pytest.mark.parametrize("content", [None, "", "1", "a b"])
def test_a_system_that_does_not_tell_is_zero(tmp_path, content):
    if content is not None:
        (tmp_path / "statm").write_text(content)
    assert resident_bytes(tmp_path / "statm") == 0
