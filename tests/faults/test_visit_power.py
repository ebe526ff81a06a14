"""The scenes of `test_update_power`, by the visits that a device really makes: the power goes anywhere."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit import tries
from disk_twin import KEPT, LOST, NAMES_ONLY, PowerCut, some
from update_scenes import Scene, begun, came_up, certain, finish, play, scenes, watch
from update_twin import CONFIG, MODEL, BrokenOffError, Device

from vedette_edge.config import AgentConfig, parse_config
from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.layout import ModelPlace
from vedette_edge.ota.record import Record
from vedette_edge.ota.release import Rollout
from vedette_edge.ota.stages import Tools
from vedette_edge.ota.store import ModelStore
from vedette_edge.ota.trust import Offer
from vedette_edge.ota.visit import visit


@functools.cache
def configuration(state: Path, bundle: Path) -> AgentConfig:
    document = f"""
        site: hall
        node: node-1
        board: none
        state_dir: {state}
        models: {{{MODEL}: {{bundle: {bundle}}}}}
        cameras: [{{id: cam, source: {{type: file, path: x.mp4}}}}]
    """
    return parse_config(document.encode(), Path("edge-agent.yaml"))


class VisitedDevice(Device):
    """A device whose updater is the real one, on the twin of a disk."""

    def visit(self) -> Record:
        self.now += 60
        ota = CONFIG.model_copy(update={"store": self.place.directory.parent})
        tools = Tools(
            repository=lambda: contextlib.nullcontext(_Repository(self)),
            store=self._store_at,
            probe=self._probe,
            now=lambda: self.now,
            fit=lambda *_: None,
            evidence=lambda _: self.evidence(),
        )
        (found,) = visit(configuration(self.evidence_file.parents[1], self.place.directory), ota, tools)
        # A line that broke off is the scene's; a disk that refuses ends its step.
        if found.trouble and found.trouble != "the line broke":
            raise UpdateError(found.trouble)
        assert found.record is not None
        return found.record

    def _store_at(self, place: ModelPlace) -> ModelStore:
        assert place == self.place
        return self.store

    def _probe(self, slot, *_):
        record = self.store.peek()
        assert slot == self.place.slot(record.candidate.slot)
        if "probe" in self.loaded(record, record.candidate.slot).conduct:
            raise UpdateError("other outputs than its golden ones")


class _Repository:
    def __init__(self, device: VisitedDevice) -> None:
        self.device = device

    def offer(self, model):
        assert model == MODEL
        offered = self.device.offered
        return None if offered is None else Offer(offered.release, Rollout(campaign="campaign", share=1.0))

    def fetch(self, _, entry, partial):
        try:
            self.device.fetch(entry, partial)
        except BrokenOffError:
            raise TransportError("the line broke") from None


@pytest.fixture(scope="module")
def all_scenes(shared_bundle):
    return scenes(shared_bundle)


def started(scene: Scene) -> VisitedDevice:
    return VisitedDevice(**vars(begun(scene)))


def snapshots(scene: Scene) -> Iterator[VisitedDevice]:
    """Yield the device as it is before each operation of a scene, and after the last."""
    device = started(scene)
    found: list[VisitedDevice] = []
    device.disk.before = lambda _: found.append(device.restarted(device.disk.copied()))
    for _ in play(scene, device):
        yield from found
        found.clear()
    yield device.restarted(device.disk.copied())


def test_each_scene_ends_as_it_should(all_scenes):
    for scene in all_scenes:
        device = started(scene)
        watch(device)
        finish(scene, device, certain(device))


def test_a_power_cut_at_any_operation_of_a_visit_leaves_a_device_that_comes_up(all_scenes, capsys):
    tried, lost, every = 0, [], tries(20, 1)
    losses = [LOST, KEPT, NAMES_ONLY, *map(some, range(tries(1, 3)))]
    for scene in all_scenes:
        for number, device in enumerate(snapshots(scene)):
            if number % every:
                continue
            least = certain(device)
            for loss in losses:
                tried += 1
                found = device.restarted(device.disk.after_cut(loss))
                watch(found)
                try:
                    finish(scene, found, least)
                except (AssertionError, UpdateError, ValueError, KeyError, OSError) as error:
                    lost.append(f"{scene.name}, before operation {number}: {type(error).__name__}: {error}")
    with capsys.disabled():
        print(f"\npower cut at an operation of a visit: {tried} tries, {len(lost)} devices lost")
    assert not lost, "\n".join(lost[:10])


def test_a_visit_that_is_killed_at_any_operation_is_gone_on_with(all_scenes):
    for scene in all_scenes:
        number = 0
        while killed_at(scene, number):
            number += tries(25, 1)


def killed_at(scene: Scene, number: int) -> bool:
    """Kill a scene before an operation, and go on; tell whether there is such an operation."""
    device = started(scene)
    left = [number]

    def run_out(_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerCut

    device.disk.before = run_out
    least, died = certain(device), False
    try:
        for _ in play(scene, device):
            least = came_up(device, least)
    except PowerCut:
        died = True
    watch(device)
    finish(scene, device, least)
    return died
