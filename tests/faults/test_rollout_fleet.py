"""A fleet takes a staged rollout, with bad devices and with bad releases; `make faults` takes 1,000 nodes."""

from __future__ import annotations

import random
import time

import pytest
from audit import tries
from edge_helpers import edit_manifest, write_bundle
from fleet_twin import OLD, ROUND, Fleet, Node
from release_helpers import NOW, Site

from vedette_converters.release.campaigns import apply, begin
from vedette_converters.release.policy import Policy, RolloutState, Tally, decide
from vedette_edge.ota.release import takes_part

POLICY = Policy()
STATES = ("probe", "shadow", "trial")


def fleet_of(directory, count, failing, policy=POLICY, seed=0):
    """Return a fleet of which a share fails, with a release whose rollout has begun."""
    bundle = write_bundle(directory / "bundle")
    site = Site(directory)
    site.publish()
    edit_manifest(bundle, lambda values: values.update(release=2))
    site.add(bundle, share=0.0)
    site.publish()
    generator = random.Random(seed)
    bad = set(generator.sample(range(count), round(failing * count)))
    nodes = [Node(f"node-{n}", fails=generator.choice(STATES) if n in bad else "") for n in range(count)]
    with site.repository.alone():
        state = begin(site.repository, "gates", "people", policy, ("node-0",), NOW)
        apply(site.repository, state, site.signers.get, NOW)
    return Fleet(site, nodes)


def told(name, fleet, step, began):
    took = [node for node in fleet.nodes if node.took_at is not None]
    print(
        f"\n{name}: {len(fleet.nodes)} nodes, {len(took)} took it, {step.counts.succeeded} kept it, "
        f"{step.counts.failed} did not, {step.state.phase} at share {step.state.share:.0%} after "
        f"{fleet.number * ROUND / 3600:.1f} h of theirs and {time.monotonic() - began:.0f} s of ours"
    )


def test_a_fleet_with_two_percent_bad_devices_takes_a_release_wave_by_wave(tmp_path):
    began = time.monotonic()
    fleet = fleet_of(tmp_path, tries(100, 1000), 0.02)
    step = fleet.run()
    told("good release", fleet, step, began)
    assert step.state.phase == "done"
    assert fleet.shares == sorted(fleet.shares)
    assert set(fleet.shares) == {0.01, 0.1, 0.5, 1.0}
    for node in fleet.nodes:
        assert node.record.state == "idle"
        assert node.record.committed.release == (0 if node.fails else 1)
        assert node.runs == (OLD if node.fails else node.record.committed)
        assert bool(node.record.refused) == bool(node.fails)


@pytest.mark.parametrize("failing", [0.3, 1.0])
def test_a_bad_release_is_stopped_before_many_have_it(failing, tmp_path):
    began = time.monotonic()
    fleet = fleet_of(tmp_path, tries(200, 1000), failing)
    step = fleet.run()
    assert step.state.phase in ("aborted", "paused")
    assert step.state.share <= 0.1
    took = sum(node.took_at is not None for node in fleet.nodes)
    last = max(node.took_at for node in fleet.nodes if node.took_at is not None)
    stopped = fleet.now.timestamp()
    for _ in range(40):
        fleet.turn()
    told(f"release that fails on {failing:.0%}", fleet, step, began)
    assert last <= stopped
    assert took == sum(node.took_at is not None for node in fleet.nodes), "nobody begins any more"
    assert all(node.runs == OLD for node in fleet.nodes if node.fails), "who had it is back"
    allowed = step.state.rollout.model_copy(update={"paused": False})
    assert all(takes_part(allowed, node.name) for node in fleet.nodes if node.took_at is not None)


def test_the_abort_rule_fires_beyond_its_limit_once_enough_have_finished(tmp_path):
    began = time.monotonic()
    policy = POLICY.model_copy(update={"waves": (0.5, 1.0), "hold": 0.0})
    fleet = fleet_of(tmp_path, tries(200, 1000), 0.25, policy, seed=3)
    step = fleet.run()
    told("release that fails on 25%", fleet, step, began)
    assert step.state.phase == "aborted"
    assert step.decision.action == "abort"
    assert step.counts.failed > policy.abort_errors * step.counts.begun
    assert step.counts.begun >= policy.least


@pytest.mark.parametrize(("limit", "least"), [(0.05, 20), (0.05, 100), (0.1, 20)])
def test_how_often_the_abort_rule_is_right(limit, least):
    """Says for docs/releasing.md how often a wave of 100 is aborted, by how many of its nodes fail."""
    generator = random.Random(1)
    policy = POLICY.model_copy(update={"abort_errors": limit, "least": least})
    state = RolloutState(
        fleet="gates", model="people", release=1, campaign="c", policy=policy, share=0.01, since=0.0
    )
    count = tries(100, 4000)
    aborted = {
        share: sum(_aborts(state, share, generator) for _ in range(count)) / count
        for share in (0.02, 0.1, 0.3)
    }
    figures = ", ".join(f"{share:.0%} fail: {value:.1%} aborted" for share, value in aborted.items())
    print(f"\nlimit {limit:.0%}, least {least}: {figures}")
    assert aborted[0.02] < aborted[0.1] <= aborted[0.3]
    assert aborted[0.3] == 1.0


def _aborts(state: RolloutState, share: float, generator: random.Random) -> bool:
    """Let the nodes of a wave begin and finish one by one; tell whether it is ever aborted."""
    failed = 0
    for n in range(1, 101):
        failed += generator.random() < share
        if decide(state, Tally(1000, 100, n, n - failed, failed), 1.0).action == "abort":
            return True
    return False
