"""The power goes at every operation of an update, and what was not synced is lost: the device comes up.

It comes up with a model that was committed, whole and not mixed with another; the floor does not fall; what
was refused or rolled back does not become committed; and the update ends as it would have ended.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from audit import tries
from disk_twin import KEPT, LOST, NAMES_ONLY, PowerCut, some
from update_real import real_device
from update_scenes import Scene, begun, came_up, certain, damage, finish, play, scenes, snapshots, watch
from update_twin import Device

from vedette_edge.errors import UpdateError
from vedette_edge.ota.record import Record


@pytest.fixture(scope="module")
def all_scenes(shared_bundle):
    return scenes(shared_bundle)


class Tally:
    """Counts tries, and which of them lost the device."""

    def __init__(self, what: str) -> None:
        self.what, self.tried, self.lost = what, 0, []

    @contextlib.contextmanager
    def attempt(self, where: str) -> Iterator[None]:
        self.tried += 1
        try:
            yield
        except (AssertionError, UpdateError, ValueError, KeyError, OSError) as error:
            self.lost.append(f"{where}: {type(error).__name__}: {error}")

    def tell(self, capsys) -> None:
        with capsys.disabled():
            print(f"\n{self.what}: {self.tried} tries, {len(self.lost)} devices lost")
        assert not self.lost, "\n".join(self.lost[:10])


def found_after_cuts(device: Device, number: int, samples: int) -> Iterator[Device]:
    """Yield what a cut may leave of a device, no two alike."""
    seen = set()
    for loss in [LOST, KEPT, NAMES_ONLY, *(some(1000 * number + one) for one in range(samples))]:
        found = device.restarted(device.disk.after_cut(loss))
        state = tuple(found.disk.everything().items())
        if state not in seen:
            seen.add(state)
            watch(found)
            yield found


def moments(scenes: list[Scene], every: int) -> Iterator[tuple[str, Scene, int, Device]]:
    """Yield devices as they are before operations of each scene, other ones in each."""
    for start, scene in enumerate(scenes):
        for number, device in enumerate(snapshots(scene)):
            if number % every == start % every:
                yield f"{scene.name}, before operation {number}", scene, number, device


def test_a_power_cut_at_any_operation_leaves_a_device_that_comes_up(all_scenes, capsys):
    tally, samples = Tally("power cut at an operation of an update"), tries(1, 24)
    for where, scene, number, device in moments(all_scenes, tries(41, 1)):
        least = certain(device)
        for found in found_after_cuts(device, number, samples):
            with tally.attempt(where):
                finish(scene, found, least)
    tally.tell(capsys)


def test_a_power_cut_that_damages_the_record_too_leaves_a_device_that_comes_up(all_scenes, capsys):
    tally, samples = Tally("power cut that damages the record"), tries(0, 3)
    for where, scene, number, device in moments(all_scenes, tries(71, 1)):
        least = certain(device)
        for found in found_after_cuts(device, number, samples):
            if found.disk.content(found.place.record) is not None:
                damage(bytes(700))(found)
                with tally.attempt(where):
                    finish(scene, found, least)
    tally.tell(capsys)


def cut_again(scene: Scene, device: Device, least: Record, chance: random.Random) -> tuple[Device, Record]:
    """Go on for some operations after a kill or a cut, and cut the power."""
    left = itertools.count(chance.randrange(1, 60), -1)
    guard = device.disk.before

    def run_out(operation: str) -> None:
        guard(operation)
        if next(left) == 0:
            raise PowerCut

    device.disk.before = run_out
    with contextlib.suppress(PowerCut):
        for _ in play(scene, device):
            least = came_up(device, least)
    found = device.restarted(device.disk.after_cut(some(chance.randrange(1 << 30))))
    watch(found)
    return found, certain(device)


def test_a_power_cut_after_a_kill_or_another_cut_leaves_a_device_that_comes_up(all_scenes, capsys):
    tally, chance, count = Tally("power cut soon after a kill or a cut"), random.Random(5), tries(6, 600)
    for scene in all_scenes:
        devices = snapshots(scene)
        for one in range(count):
            number = chance.randrange(len(devices))
            device = devices[number]
            # A kill loses nothing, but what was not synced may still go with the power that follows.
            killed = device.disk.copied() if one % 2 else device.disk.after_cut(some(one))
            with tally.attempt(f"{scene.name}, try {one}, before operation {number}"):
                first = device.restarted(killed)
                watch(first)
                found, least = cut_again(scene, first, came_up(first, certain(device)), chance)
                finish(scene, found, least)
    tally.tell(capsys)


class Refusals:
    """A disk refuses one operation, reads too, or all from there on."""

    def __init__(self, device: Device, number: int, error: int, *, lasting: bool) -> None:
        self.number, self.error, self.lasting, self.asked = number, error, lasting, 0
        device.disk.before = device.disk.before_look = self

    def __call__(self, operation: str) -> None:
        now, self.asked = self.asked, self.asked + 1
        if now == self.number or (self.lasting and now > self.number):
            raise OSError(self.error, os.strerror(self.error), operation)


def refused(scene: Scene, number: int, error: int, *, lasting: bool) -> bool:
    """Play a scene on a disk that refuses, then to its end on one that is well; tell whether it refused."""
    device = begun(scene)
    least = certain(device)
    refusals = Refusals(device, number, error, lasting=lasting)
    with contextlib.suppress(UpdateError):
        for _ in play(scene, device):
            pass
    device.disk.before_look = lambda _: None
    watch(device)
    finish(scene, device, least)
    return refusals.asked > number


def test_a_disk_that_refuses_ends_in_one_error_and_the_update_goes_on_later(all_scenes, capsys):
    tally, every = Tally("disk refuses an operation of an update"), tries(127, 5)
    kinds = list(itertools.product((errno.ENOSPC, errno.EIO), (False, True)))
    for scene, (start, (error, lasting)) in itertools.product(all_scenes, enumerate(kinds)):
        number, more = 13 * start % every, True
        while more:
            more = False
            with tally.attempt(f"{scene.name}, {os.strerror(error)} at operation {number}"):
                more = refused(scene, number, error, lasting=lasting)
            number += every
    tally.tell(capsys)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_updater_that_is_killed_at_any_moment_leaves_a_device_that_comes_up(tmp_path, capsys):
    tally, chance = Tally("kill -9 of an updater on a real disk"), random.Random(3)
    least, command = Record(model="door"), [sys.executable, "-m", "update_real", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for number in range(tries(3, 100)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            # It tells each visit.
            for _ in range(chance.randrange(1, 9)):
                child.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.03))
            child.kill()
        with tally.attempt(f"kill {number}"):
            least = came_up(real_device(tmp_path), least)
    tally.tell(capsys)
    assert least.floor > 0
