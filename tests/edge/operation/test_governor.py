from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.config import GovernorConfig
from vedette_edge.operation.governor import LADDER, Governor, Strain, paused_cameras, strain_of
from vedette_edge.operation.sensors import Reading

CONFIG = GovernorConfig(warm_celsius=70.0, hot_celsius=90.0, rise=10.0, fall=60.0)
MIB = 2**20
CALM, BETWEEN, WARM, HOT = (Reading(temperature_c=value) for value in (50.0, 68.0, 80.0, 95.0))
READINGS = st.builds(
    Reading,
    temperature_c=st.none() | st.floats(-20, 130),
    free_memory_bytes=st.none() | st.integers(0, 2**31),
    load=st.none() | st.floats(0, 20),
    memory_stall=st.none() | st.floats(0, 100),
)


def steps(governor, readings, interval=2.0, began=0.0):
    """Return the step's number after each reading."""
    return [governor.tick(began + index * interval, reading).number for index, reading in enumerate(readings)]


def brought_to(number):
    """Return a governor on a step, within the first 100 seconds."""
    governor = Governor(CONFIG)
    if number == 6:
        governor.tick(0.0, HOT)
    for second in range(10 * number + 1 if number < 6 else 0):
        governor.tick(float(second), WARM)
    assert governor.step.number == number
    return governor


@pytest.mark.parametrize(
    ("reading", "strain"),
    [
        (Reading(), Strain.CALM),
        (Reading(temperature_c=64.9), Strain.CALM),
        (Reading(temperature_c=65.0), Strain.NEUTRAL),
        (Reading(temperature_c=70.0), Strain.SOFT),
        (Reading(temperature_c=85.0), Strain.NEAR),
        (Reading(temperature_c=90.0), Strain.HARD),
        (Reading(free_memory_bytes=161 * MIB), Strain.CALM),
        (Reading(free_memory_bytes=150 * MIB), Strain.NEUTRAL),
        (Reading(free_memory_bytes=128 * MIB), Strain.SOFT),
        (Reading(free_memory_bytes=70 * MIB), Strain.NEAR),
        (Reading(free_memory_bytes=64 * MIB), Strain.HARD),
        (Reading(load=3.0), Strain.CALM),
        (Reading(load=100.0), Strain.SOFT),
        (Reading(memory_stall=20.0), Strain.SOFT),
        (Reading(free_gpu_bytes=0), Strain.CALM),
        (Reading(temperature_c=50.0, load=4.0), Strain.SOFT),
    ],
)
def test_a_reading_is_placed_by_its_limits(reading, strain):
    assert strain_of(reading, CONFIG)[0] == strain


def test_the_worst_sensor_is_named():
    cause = strain_of(Reading(temperature_c=80.0, free_memory_bytes=10 * MIB), CONFIG)[1]
    assert cause == "10 MiB of memory left"


def test_a_gpu_counts_where_it_has_a_limit():
    config = CONFIG.model_copy(update={"free_gpu_bytes": 100 * MIB})
    assert strain_of(Reading(free_gpu_bytes=99 * MIB), config)[0] == Strain.SOFT


def test_limits_of_zero_never_strain():
    none = {"free_memory_bytes": 0, "load": 0.0, "memory_stall": 0.0}
    reading = Reading(free_memory_bytes=0, load=99.0, memory_stall=100.0)
    assert strain_of(reading, CONFIG.model_copy(update=none)) == (Strain.CALM, "")


def test_each_step_holds_back_what_those_before_it_do_and_more():
    assert [step.number for step in LADDER] == list(range(7))
    for lower, higher in itertools.pairwise(LADDER):
        assert higher.picture_interval >= lower.picture_interval
        assert higher.hop_factor >= lower.hop_factor
        assert (higher.max_side or 10_000) <= (lower.max_side or 10_000)
        assert higher.cheaper_variant >= lower.cheaper_variant
        assert higher.pause_some >= lower.pause_some
        assert higher.pause_all >= lower.pause_all


def test_lasting_strain_climbs_to_the_last_soft_step_one_at_a_time():
    found = steps(Governor(CONFIG), [WARM] * 40)
    assert found[4:6] == [0, 1]
    assert found == sorted(found)
    assert max(found) == found[-1] == 5


def test_a_short_strain_changes_nothing():
    assert set(steps(Governor(CONFIG), [WARM, WARM, WARM, CALM] * 50)) == {0}


def test_the_hard_limit_pauses_at_once_and_says_why():
    governor = Governor(CONFIG)
    assert governor.tick(0.0, HOT).pause_all
    assert governor.reason == "95.0 degrees Celsius"


def test_calm_comes_down_slowly_and_one_at_a_time():
    governor = Governor(CONFIG)
    governor.tick(0.0, HOT)
    found = steps(governor, [CALM] * 250, began=2.0)
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (6, 0)
    assert [found.count(number) for number in range(1, 6)] == [30] * 5
    assert governor.reason == ""


def test_after_the_hard_limit_a_warm_device_rests_on_the_last_soft_step():
    governor = Governor(CONFIG)
    governor.tick(0.0, HOT)
    assert steps(governor, [WARM] * 1000, began=2.0)[-1] == 5


def test_close_to_the_hard_limit_the_pause_stays():
    governor = Governor(CONFIG)
    governor.tick(0.0, HOT)
    assert set(steps(governor, [Reading(temperature_c=86.0)] * 1000, began=2.0)) == {6}


def test_a_device_that_cannot_bear_a_step_tries_it_ever_more_rarely():
    # It is warm below step 2, and cool from there on: the worst case for a ladder.
    governor, now, changes = Governor(CONFIG), 0.0, []
    for _ in range(43_200):
        now += 2.0
        before = governor.step.number
        if governor.tick(now, WARM if before < 2 else CALM).number != before:
            changes.append(now)
    assert len(changes) < 70
    gaps = [later - earlier for earlier, later in itertools.pairwise(changes)]
    assert max(gaps[-4:]) >= 3600


def test_a_relapse_is_forgotten_after_a_long_calm():
    governor = Governor(CONFIG)
    steps(governor, [WARM] * 6)
    steps(governor, [CALM] * 32, began=20.0)
    steps(governor, [WARM] * 6, began=90.0)
    assert governor.step.number == 1
    assert steps(governor, [CALM] * 45, began=102.0)[-1] == 1  # waits twice as long
    assert steps(governor, [CALM] * 45, began=192.0)[-1] == 0
    steps(governor, [WARM] * 6, began=5000.0)
    assert steps(governor, [CALM] * 32, began=5012.0)[-1] == 0  # as at first


def test_switched_off_it_lets_go_of_everything():
    governor = Governor(CONFIG)
    governor.tick(0.0, HOT)
    governor.configure(CONFIG.model_copy(update={"enabled": False}))
    assert governor.tick(2.0, HOT) == LADDER[0]
    governor.configure(CONFIG)
    assert governor.tick(4.0, HOT) == LADDER[6]


@given(READINGS, st.integers(0, 6))
def test_a_constant_reading_never_makes_it_oscillate(reading, begin):
    governor = brought_to(begin)
    found = steps(governor, [reading] * 400, interval=5.0, began=100.0)
    assert found in (sorted(found), sorted(found, reverse=True))
    assert len(set(found[-10:])) == 1


@given(st.lists(st.tuples(st.floats(0.1, 30.0), READINGS), max_size=200))
def test_steps_are_taken_one_at_a_time_and_never_too_soon(history):
    governor, now, changed, rose = Governor(CONFIG), 0.0, -100.0, 0.0
    for seconds, reading in history:
        now += seconds
        before = governor.step.number
        after = governor.tick(now, reading).number
        if after == before:
            continue
        if strain_of(reading, CONFIG)[0] == Strain.HARD:
            assert after == 6
        else:
            assert abs(after - before) == 1
            assert now - changed >= (CONFIG.rise if after > before else CONFIG.fall) - 1e-6
        changed = now
        rose = max(rose, after)
    assert rose <= 6


@given(st.lists(st.floats(65.0, 69.99), max_size=100), st.integers(0, 5))
def test_between_the_limits_nothing_changes(temperatures, begin):
    governor = brought_to(begin)
    readings = [Reading(temperature_c=value) for value in temperatures]
    assert set(steps(governor, readings, interval=30.0, began=100.0)) <= {begin}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 100)))
def test_a_pause_of_some_takes_the_lower_half_and_leaves_one(priorities):
    paused = paused_cameras(LADDER[5], priorities)
    kept = [name for name in priorities if name not in paused]
    assert len(paused) == len(priorities) // 2
    assert all(priorities[one] <= priorities[other] for one in paused for other in kept)
    assert paused_cameras(LADDER[4], priorities) == ()
    assert paused_cameras(LADDER[6], priorities) == tuple(priorities)


def test_of_equal_cameras_the_later_one_pauses():
    assert paused_cameras(LADDER[5], {"door": 50, "gate": 50, "hall": 50}) == ("hall",)
