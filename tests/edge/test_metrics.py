from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.metrics import Durations, Rate, family_resident_bytes, resident_bytes, spread


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


@given(st.lists(st.floats(0, 20), max_size=50))
def test_a_histogram_counts_all_up_to_each_bound(values):
    durations = Durations()
    for value in values:
        durations.add(value)
    histogram = durations.histogram()
    expected = [sum(value <= bound for value in values) for bound in histogram.bounds]
    assert list(histogram.counts) == expected
    assert histogram.counts[-1] == len(values)
    assert histogram.total == pytest.approx(sum(values))


def test_what_is_done_inside_is_timed_even_if_it_fails():
    durations = Durations()
    with pytest.raises(ValueError, match="x"), durations.timed():
        raise ValueError("x")
    assert durations.percentiles().count == 1


def test_durations_of_several_parts_are_spread_together():
    fast, slow = Durations(), Durations()
    fast.add(0.001)
    slow.add(0.003)
    found = spread([fast, slow, Durations()])
    assert (found.count, found.p50, found.max) == (2, 2.0, 3.0)
    assert spread([]).count == 0


def test_a_rate_is_that_of_the_last_ten_seconds():
    rate = Rate()
    assert rate.at(0.0, 0) == 0.0
    assert rate.at(0.0, 5) == 0.0
    for second in range(1, 60):
        found = rate.at(float(second), 25 * second)
    assert found == 25.0
    for second in range(60, 72):
        found = rate.at(float(second), 25 * 59)
    assert found == 0.0


def test_a_rate_that_is_looked_at_rarely_is_that_since_the_look_before():
    rate = Rate()
    rate.at(0.0, 0)
    rate.at(30.0, 30)
    assert rate.at(60.0, 630) == 20.0


def test_a_child_process_counts_as_family():
    script = "import time; b = bytearray(50_000_000); print('up', flush=True); time.sleep(60)"
    alone = family_resident_bytes()
    assert alone == pytest.approx(resident_bytes(), rel=0.2)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        together = family_resident_bytes()
        child.kill()
    assert together - alone > 40_000_000


def test_a_counter_that_begins_again_does_not_fall():
    rate = Rate()
    rate.at(0.0, 100)
    assert rate.at(4.0, 3) == 0.0
    assert rate.at(6.0, 53) == 25.0
