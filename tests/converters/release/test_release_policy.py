"""What a rollout does next, of counts and time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vedette_converters.release.policy import (
    Policy,
    RolloutState,
    Tally,
    canaries,
    decide,
    share_now,
    tally,
    widened,
)
from vedette_edge.ota.release import Rollout, read_rollout, signable, takes_part

POLICY = Policy(waves=(0.1, 0.5, 1.0), success=0.9, abort_errors=0.05, least=20, hold=600)


def state(**changes):
    values = {
        "fleet": "gates", "model": "people", "release": 3, "campaign": "people-3", "policy": POLICY,
        "share": 0.1, "since": 1000.0,
    }  # fmt: skip
    return RolloutState(**(values | changes))


def action(counts, now=10_000.0, **changes):
    return decide(state(**changes), counts, now).action


def test_the_next_wave_begins_once_enough_have_succeeded():
    assert action(Tally(known=1000, members=100, succeeded=90)) == "widen"
    assert action(Tally(known=1000, members=100, succeeded=89)) == "wait"


def test_a_wave_is_held_for_its_time():
    everybody = Tally(known=1000, members=100, succeeded=100)
    assert action(everybody, now=1599.0) == "wait"
    assert action(everybody, now=1600.0) == "widen"


def test_too_many_failures_end_it_at_once():
    assert action(Tally(known=1000, members=100, begun=20, succeeded=18, failed=2), now=1001.0) == "abort"
    assert action(Tally(known=1000, members=100, begun=20, succeeded=19, failed=1), now=1001.0) == "wait"


def test_few_failures_end_nothing_before_the_least_number_has_begun():
    assert action(Tally(known=1000, members=100, begun=19, succeeded=1, failed=18)) == "wait"
    assert action(Tally(known=1000, members=100, begun=20, succeeded=1, failed=18)) == "abort"


def test_failures_that_are_quicker_than_successes_end_nothing():
    assert action(Tally(known=1000, members=500, begun=400, failed=20)) == "wait"
    assert action(Tally(known=1000, members=500, begun=400, failed=21)) == "abort"


def test_a_small_wave_that_cannot_succeed_pauses():
    assert action(Tally(known=10, members=2, failed=2)) == "pause"
    assert action(Tally(known=10, members=2, failed=1)) == "wait"


def test_nothing_widens_while_nobody_is_heard():
    assert action(Tally()) == "wait"


def test_a_wave_without_known_nodes_is_passed_over():
    assert action(Tally(known=5)) == "widen"


def test_the_last_wave_ends_it():
    assert action(Tally(known=10, members=10, succeeded=9, failed=1), wave=2, share=1.0) == "finish"


@pytest.mark.parametrize("phase", ["paused", "aborted", "done"])
def test_what_does_not_run_stays(phase):
    assert action(Tally(known=1000, members=100, failed=100), phase=phase) == "wait"


def test_a_wave_grows_at_its_rate():
    slow = POLICY.model_copy(update={"rate": 0.2})
    begun = state(policy=slow, share=0.0, since=0.0)
    shares = [share_now(begun, seconds) for seconds in (0.0, 179.0, 180.0, 900.0, 1799.0, 1800.0)]
    assert shares == pytest.approx([0.0, 0.0, 0.01, 0.05, 0.09, 0.1])
    assert decide(begun, Tally(known=1000), 900.0).action == "grow"
    grown = begun.model_copy(update={"share": share_now(begun, 900.0)})
    assert decide(grown, Tally(known=1000, members=50, succeeded=50), 901.0).action == "wait"
    second = widened(begun.model_copy(update={"share": 0.1}), 1800.0)
    assert second.share == 0.1
    assert share_now(second, 1800.0 + 3600.0) == pytest.approx(0.3)


def test_waves_must_grow():
    with pytest.raises(ValidationError, match="waves must grow"):
        Policy(waves=(0.5, 0.5))
    with pytest.raises(ValueError, match="the last wave has begun"):
        widened(state(wave=2), 0.0)


def test_of_each_hardware_one_goes_first():
    hardware = {"n-1": "pi", "n-2": "pi", "n-3": "jetson", "n-4": "nuc"}
    assert canaries(["n-2"], hardware) == ("n-2", "n-3", "n-4")
    assert canaries(["n-9", "n-9"], {}) == ("n-9",)


def test_only_who_takes_part_is_counted_and_a_pause_takes_nobody_away():
    fates = {f"hall/node-{n}": "succeeded" if n % 2 else "failed" for n in range(100)} | {
        "hall/first": "waiting"
    }
    paused = Rollout(campaign="c", share=0.3, first=("first",), paused=True)
    counts = tally(paused, fates)
    assert counts.known == 101
    assert counts.members == 1 + sum(
        takes_part(Rollout(campaign="c", share=0.3), f"node-{n}") for n in range(100)
    )
    assert (counts.pending, counts.begun) == (1, counts.members - 1)


counts_of_a_wave = st.builds(
    lambda succeeded, failed, begun, waiting, others: Tally(
        known=succeeded + failed + begun + waiting + others,
        members=succeeded + failed + begun + waiting,
        begun=succeeded + failed + begun,
        succeeded=succeeded,
        failed=failed,
    ),
    *[st.integers(0, 2000)] * 5,
)


@given(counts_of_a_wave, st.floats(0, 1e6))
def test_it_never_widens_where_it_should_end(counts, now):
    decision = decide(state(), counts, now)
    if counts.begun >= POLICY.least and counts.failed > POLICY.abort_errors * counts.begun:
        assert decision.action == "abort"
    if decision.action in ("widen", "finish"):
        assert counts.succeeded >= POLICY.success * counts.members
        assert now - 1000.0 >= POLICY.hold


@given(st.lists(counts_of_a_wave, max_size=30))
def test_the_share_never_shrinks(all_counts):
    current, now = state(), 1000.0
    shares = [current.share]
    for counts in all_counts:
        now += 601
        if decide(current, counts, now).action == "widen":
            current = widened(current, now)
        shares.append(current.share)
    assert all(earlier <= later for earlier, later in pairwise(shares))


@given(st.floats(0, 1), st.lists(st.from_regex(r"\A[a-z0-9]{1,8}\Z"), max_size=3), st.booleans())
def test_a_rollout_is_signed_and_read_back(share, first, paused):
    rollout = Rollout(campaign="c-1", share=share, first=tuple(first), paused=paused)
    read = read_rollout(signable(rollout))
    assert read.share == pytest.approx(share, abs=1e-9)
    assert read == rollout.model_copy(update={"share": read.share})
    assert signable(read) == signable(rollout)
