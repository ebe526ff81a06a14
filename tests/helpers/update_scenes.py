"""Whole updates, step by step, and what must hold at every moment of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from disk_twin import LOST, DiskTwin
from update_twin import MODEL, Device, Sample, sample

from vedette_edge.bundle import open_bundle
from vedette_edge.errors import UpdateError
from vedette_edge.ota.by_hand import named_files
from vedette_edge.ota.evidence import slot_to_run
from vedette_edge.ota.record import SLOTS, Record, parse_record
from vedette_edge.ota.release import Release

Step = Callable[[Device], object]

FIRST, SECOND, THIRD = sample(1), sample(2), sample(3)


@dataclass(frozen=True)
class Scene:
    """Steps that may each be done again after a cut, and how they end."""

    name: str
    steps: tuple[Step, ...]
    ends: int  # the release that is committed
    begin: tuple[Step, ...] = ()
    room: int = 1 << 30


def offer(one: Sample) -> Step:
    return lambda device: device.offer(one)


def visit(device: Device) -> None:
    device.visit()


def agent(device: Device) -> None:
    device.run_agent()


def visit_that_breaks_off(count: int) -> Step:
    """A visit that is allowed so many bytes of the network."""

    def step(device: Device) -> None:
        device.fetch_bytes = count
        device.visit()
        device.fetch_bytes = None

    return step


def damage(document: bytes | None) -> Step:
    """The record becomes something else, on the disk; None: it is gone."""

    def step(device: Device) -> None:
        disk, path = device.disk.copied(), device.place.record
        if path.name in disk.names(path.parent):
            disk.unlink(path)
        if document is not None:
            disk.write(path, document)
            disk.sync(path)
        disk.sync(path.parent)
        device.disk.root = disk.root

    return step


def adopt(bundle: Path) -> Step:
    def step(device: Device) -> None:
        device.store.adopt(bundle, device.now)

    return step


def by_hand(bundle: Path) -> Sample:
    """Return what a bundle is as a release, to compare with."""
    opened = open_bundle(bundle)
    entries = named_files(opened)
    release = Release(model=MODEL, release=1, created=0.0, files=entries)
    return Sample(release, {entry.path: (bundle / entry.path).read_bytes() for entry in entries})


def knows(one: Sample) -> Step:
    return lambda device: device.samples.update({one.digest: one})


UPDATE: tuple[Step, ...] = (visit, agent, visit, agent, visit)
INSTALLED = (offer(FIRST), visit, agent, visit)


def scenes(bundle: Path) -> list[Scene]:
    crashing, slow = sample(2, trial="crashing"), sample(2, probe="slow")
    disagreeing, silent = sample(2, shadow="disagreeing"), sample(2, trial="silent")
    hand = (knows(by_hand(bundle)), adopt(bundle))
    broken = (visit_that_breaks_off(1000), visit_that_breaks_off(3500), visit_that_breaks_off(100))
    return [
        Scene("first install", INSTALLED, 1),
        Scene("update", (offer(SECOND), *UPDATE), 2, INSTALLED),
        Scene("two updates", (offer(SECOND), *UPDATE, offer(THIRD), *UPDATE), 3, INSTALLED),
        Scene("crashing, rolled back", (offer(crashing), *UPDATE, agent, agent, agent, visit), 1, INSTALLED),
        Scene("refused by the probe", (offer(slow), visit), 1, INSTALLED),
        Scene("refused by the shadow", (offer(disagreeing), visit, agent, visit), 1, INSTALLED),
        Scene("silent, rolled back", (offer(silent), *UPDATE, wait, visit), 1, INSTALLED),
        Scene("bad, then mended", (offer(slow), visit, offer(THIRD), *UPDATE), 3, INSTALLED),
        Scene("fetch resumed", (offer(SECOND), *broken, *UPDATE), 2, INSTALLED),
        Scene("overtaken while fetched", (offer(SECOND), broken[0], offer(THIRD), *UPDATE), 3, INSTALLED),
        Scene("record of zeros", (damage(bytes(700)), visit, agent), 1, INSTALLED),
        Scene(
            "record lost in the trial",
            (offer(SECOND), visit, agent, visit, agent, damage(None), visit, *UPDATE),
            2,
            INSTALLED,
        ),
        Scene("adopted by hand", hand, 0),
        Scene("adopted by hand, then updated", (*hand, offer(FIRST), *UPDATE), 1),
        Scene("adopted over an update", hand, 0, INSTALLED),
    ]


def wait(device: Device) -> None:
    device.now += 100_000


def settle(device: Device) -> Record:
    """Go on until nothing is under way and nothing more comes."""
    before, record = None, device.visit()
    for _ in range(8):
        if record.state == "idle" and record == before:
            break
        before = record
        device.run_agent()
        record = device.visit()
    if record.state != "idle":
        wait(device)
        record = device.visit()
    return record


def came_up(device: Device, least: Record) -> Record:
    """Fail unless the device runs one whole release that it may run; return what its record says.

    Args:
        device: as it is found.
        least: what was on the disk for certain.
    """
    record = device.store.peek()
    slot = slot_to_run(record, device.evidence())
    if least.committed is not None:
        assert record.committed is not None, "nothing is committed any more"
    if record.committed is not None:
        committed = device.loaded(record, record.committed.slot)
        assert not committed.bad, f"release {committed.release.release} is committed"
        installed = (record.committed.release, record.committed.digest)
        assert installed not in [(one.release, one.digest) for one in least.refused], "it was refused"
    if slot is not None:
        device.loaded(record, slot)
    assert record.floor >= least.floor, f"the floor fell from {least.floor} to {record.floor}"
    return record


def play(scene: Scene, device: Device) -> Iterator[None]:
    """Go on with a scene from the step that the device is at; yields after each."""
    while device.at < len(scene.steps):
        scene.steps[device.at](device)
        device.at += 1
        yield


def finish(scene: Scene, device: Device, least: Record) -> None:
    """Go on to the end of a scene, and fail if that is not what it should be."""
    least = came_up(device, least)
    for _ in play(scene, device):
        least = came_up(device, least)
    record = settle(device)
    came_up(device, least)
    assert record.state == "idle", record.state
    assert record.committed is not None
    assert record.committed.release == scene.ends


def begun(scene: Scene) -> Device:
    device = Device(DiskTwin(scene.room))
    for step in scene.begin:
        step(device)
    return device


def watch(device: Device) -> None:
    """Fail at an operation that writes to the committed slot, or takes more than two models and a partial."""
    disk, place = device.disk, device.place
    directories = [place.partial, *(place.slot(slot) for slot in SLOTS)]

    def look(operation: str) -> None:
        what, path = operation.rsplit(" ", 1)
        committed = committed_slot(disk.content(place.record))
        if committed is not None and what != "sync":
            assert not path.startswith(f"{place.slot(committed)}/"), operation
        releases = [one.release for one in device.samples.values()]
        assert disk.used(*directories) <= most_room(releases), operation

    disk.before = look


def most_room(releases: Sequence[Release]) -> int:
    """Return the bytes of two models and one file."""
    largest = max((one.bytes for release in releases for one in release.files), default=0)
    return sum(sorted(release.bytes for release in releases)[-2:]) + largest


@lru_cache(maxsize=4096)
def committed_slot(document: bytes | None) -> str | None:
    try:
        record = parse_record(document or b"", Path("record"))
    except UpdateError:
        return None
    return record.committed.slot if record.committed else None


def snapshots(scene: Scene) -> list[Device]:
    """Return the device as it is before each operation of a scene, and after the last."""
    device, found = begun(scene), []
    watch(device)
    guard = device.disk.before

    def take(operation: str) -> None:
        guard(operation)
        found.append(device.restarted(device.disk.copied()))

    device.disk.before = take
    for _ in play(scene, device):
        pass
    found.append(device.restarted(device.disk.copied()))
    return found


def certain(device: Device) -> Record:
    """Return what the record says if everything is lost that may be."""
    return replace(device, disk=device.disk.after_cut(LOST)).store.peek()
