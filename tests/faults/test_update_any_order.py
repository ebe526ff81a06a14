"""Releases, faults, restarts and agents in any order, against machine, store and a disk that forgets."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest
from disk_twin import KEPT, LOST, PowerCut, some
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from update_scenes import (
    INSTALLED,
    UPDATE,
    came_up,
    certain,
    damage,
    settle,
    visit_that_breaks_off,
    wait,
    watch,
)
from update_table import FOLLOWS
from update_twin import Device, sample

from vedette_edge.errors import UpdateError
from vedette_edge.ota.record import MOST_REFUSED, parse_record

CONDUCT = st.sampled_from(
    [
        {},
        {},
        {"probe": "other outputs"},
        {"shadow": "disagreeing"},
        {"shadow": "slow"},
        {"shadow": "crashing"},
        {"shadow": "silent"},
        {"trial": "slow"},
        {"trial": "crashing"},
        {"trial": "silent"},
    ]
)


class Updates(RuleBasedStateMachine):
    """What holds is `came_up`: one whole release, never a bad one, the floor does not fall."""

    def __init__(self) -> None:
        super().__init__()
        self.device, self.number = Device(), 0
        self.least = self.device.store.peek()
        watch(self.device)

    @rule(conduct=CONDUCT, again=st.booleans())
    def release(self, conduct, again):
        self.number += 0 if again and self.number else 1
        # The same number with other files is another release, of which a device takes one at most.
        self.device.offer(sample(self.number, salt=str(len(self.device.samples)), **conduct))

    @rule()
    def withdraw(self):
        self.device.offer(None)

    @rule(old=st.integers(0, 5))
    def offer_an_old_one(self, old):
        known = list(self.device.samples.values())
        if known:
            self.device.offer(known[old % len(known)])

    @rule()
    def visit(self):
        self.device.visit()

    @rule(count=st.integers(0, 8000))
    def visit_that_breaks_off(self, count):
        self.device.fetch_bytes = count
        self.device.visit()
        self.device.fetch_bytes = None

    @rule()
    def agent(self):
        self.device.run_agent()

    @rule()
    def much_later(self):
        self.device.now += 100_000

    @rule(after=st.integers(0, 150), seed=st.integers(0, 1 << 20), updater=st.booleans(), kill=st.booleans())
    def die(self, after, seed, updater, kill):
        """A kill loses nothing at once; a cut loses what was not synced, then or before."""
        guard = self.device.disk.before
        left = iter(range(after, -1, -1))

        def run_out(operation):
            guard(operation)
            if next(left, 0) == 0:
                raise PowerCut

        self.device.disk.before = run_out
        with contextlib.suppress(PowerCut):
            self.device.visit() if updater else self.device.run_agent()
        self.device.disk.before = guard
        if not kill:
            self.cut(seed)

    @rule(seed=st.integers(0, 1 << 20))
    def cut(self, seed):
        self.least = certain(self.device)
        loss = (LOST, KEPT, some(seed))[seed % 3]
        self.device = self.device.restarted(self.device.disk.after_cut(loss))
        watch(self.device)

    @rule(at=st.integers(0, 200), number=st.sampled_from([errno.ENOSPC, errno.EIO]), lasting=st.booleans())
    def disk_refuses(self, at, number, lasting):
        guard, count = self.device.disk.before, iter(range(1 << 20))

        def refuse(operation):
            now = next(count)
            if now == at or (lasting and now > at):
                raise OSError(number, os.strerror(number), operation)

        self.device.disk.before = self.device.disk.before_look = refuse
        with contextlib.suppress(UpdateError):
            self.device.visit()
        self.device.disk.before, self.device.disk.before_look = guard, lambda _: None

    @rule(document=st.sampled_from([None, b"", bytes(500), b"{}"]))
    def damage_the_record(self, document):
        self.least = certain(self.device)
        if self.device.disk.content(self.device.place.record) is not None:
            damage(document)(self.device)

    @rule(slot=st.sampled_from("ab"))
    def damage_the_slot_under_way(self, slot):
        record, path = self.device.store.peek(), self.device.place.slot(slot) / "model.onnx"
        free = record.committed is None or record.committed.slot != slot
        if (
            record.state in ("fetch", "verify", "staged")
            and free
            and self.device.disk.content(path) is not None
        ):
            self.device.disk.unlink(path)

    @invariant()
    def it_comes_up(self):
        self.least = came_up(self.device, self.least)
        assert len(self.least.refused) <= MOST_REFUSED

    def teardown(self):
        """Whatever came before, a good release that is newer is committed in the end."""
        good = sample(self.number + 1, salt="good")
        self.device.offer(good)
        self.device.now += 1_000_000
        for _ in range(4):
            record = settle(self.device)
        assert record.committed is not None
        assert record.committed.digest == good.digest


FEW = settings(max_examples=60, stateful_step_count=30, deadline=None)
MANY = settings(max_examples=10_000, stateful_step_count=50, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestUpdates(Updates.TestCase):
    settings = MANY if os.environ.get("VEDETTE_FAULTS") == "many" else FEW


def killed_in(device, state):
    """A visit that is killed as soon as the record says so."""

    def look(_):
        document = device.disk.content(device.place.record)
        if document is not None and parse_record(document, device.place.record).state == state:
            raise PowerCut

    device.disk.before = look
    with contextlib.suppress(PowerCut):
        device.visit()
    device.disk.before = lambda _: None


def damaged_in(device, state):
    killed_in(device, state)
    device.disk.unlink(device.place.slot("b") / "model.onnx")
    device.visit()


def ended_by(device, event):
    killed_in(device, "space")
    event(device)
    device.visit()


def small(device):
    device.disk.room = device.disk.used() + 3000
    device.visit()


def gone(device):
    device.offer(sample(2, salt="gone", fetch="gone"))
    visit_that_breaks_off(100)(device)


def newer(device):
    device.offer(sample(3))


def withdrawn(device):
    device.offer(None)


def broken_off(event):
    return lambda device: (visit_that_breaks_off(100)(device), event(device), device.visit())


def released(*steps, **conduct):
    def play(device):
        device.offer(sample(2, salt=str(conduct), **conduct))
        for step in steps:
            step(device)

    return play


WAYS = [
    released(*UPDATE),
    released(*UPDATE, probe="slow"),
    released(*UPDATE, shadow="slow"),
    released(*UPDATE, trial="slow"),
    released(*UPDATE, wait, UPDATE[0], trial="silent"),
    released(withdrawn, *UPDATE),
    released(small),
    released(gone),
    *(released(broken_off(event)) for event in (newer, withdrawn)),
    *(released(lambda device, event=event: ended_by(device, event)) for event in (newer, withdrawn)),
    *(
        released(lambda device, state=state: damaged_in(device, state))
        for state in ("verify", "staged", "probe")
    ),
    released(*UPDATE[:2], lambda device: damaged_in(device, "switch")),
    released(*(lambda device: killed_in(device, "probe"),) * 3, *UPDATE[:1]),
]


def test_every_state_and_every_transition_is_reached_on_a_device():
    reached = set()
    for way in WAYS:
        device = Device()
        for step in INSTALLED:
            step(device)
        way(device)
        reached |= {(before, event) for before, event, _ in device.transitions}
    assert reached == {(before, event.partition(",")[0]) for before, event in FOLLOWS}
