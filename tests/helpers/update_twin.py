"""A device on a disk twin: an updater, an agent and a repository, as small as they can be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from disk_twin import DiskTwin

from vedette_edge.config.ota import OtaConfig
from vedette_edge.errors import UpdateError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry
from vedette_edge.ota.disk import replace_file
from vedette_edge.ota.evidence import Evidence, ShadowFigures, may_start, slot_to_run
from vedette_edge.ota.layout import ModelPlace, Store, evidence_path
from vedette_edge.ota.machine import (
    Corrupt,
    DoesNotFit,
    Event,
    Fetched,
    FetchFailed,
    Fits,
    Look,
    NothingNew,
    Offered,
    Probed,
    ProbeFailed,
    Probing,
    Settled,
    Switched,
    Verified,
    after,
    judge_trial,
    wanted,
)
from vedette_edge.ota.record import Record
from vedette_edge.ota.release import Release
from vedette_edge.ota.store import ModelStore

MODEL = "door"
CONFIG = OtaConfig(
    url="https://updates.test", fleet="hall", models=(MODEL,), least_agreement=0.5, trial_deadline=86_400
)
MANY_BYTES = 4096


def entry_of(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Sample:
    """A release with its files, and how it behaves: by phase, good where nothing else is said."""

    release: Release
    files: Mapping[str, bytes]
    conduct: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.release.digest

    @property
    def bad(self) -> bool:
        """Whether no device may keep it; a device without another model does not see what a shadow shows."""
        return bool(self.conduct.keys() & {"probe", "trial"})


def sample(number: int, *, salt: str = "", **conduct: str) -> Sample:
    """Return a release of six files, of which some are the same in all and two are the same in one."""
    own = f"weights of {number}{salt}".encode()
    files = {
        MANIFEST_NAME: json.dumps({"number": number, "salt": salt}).encode(),
        "model.onnx": own * (MANY_BYTES // len(own)),
        "golden/inputs.npy": b"the same in all" * 100,
        "golden/logits.npy": f"logits {number}{salt}".encode(),
        "parts/one.bin": f"twice {number}{salt}".encode(),
        "parts/two.bin": f"twice {number}{salt}".encode(),
    }
    entries = tuple(entry_of(path, data) for path, data in files.items())
    release = Release(model=MODEL, release=number, created=float(number), files=entries)
    return Sample(release, files, conduct)


class BrokenOffError(Exception):
    """A fetch broke off."""


@dataclass
class Device:
    """What outlives a power cut: the disk, what the repository has, and the clock."""

    disk: Any = field(default_factory=DiskTwin)
    root: Path = Path("/")
    samples: dict[str, Sample] = field(default_factory=dict)
    offered: Sample | None = None
    now: float = 1_000.0
    fetch_bytes: int | None = None  # of one visit; None: all
    at: int = 0  # the step of a scene
    transitions: set[tuple[str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.disk.make_directories(self.evidence_file.parent)
        self.disk.make_directories(self.place.directory.parent)

    @property
    def place(self) -> ModelPlace:
        return Store(self.root / "var/lib/edge-models").model(MODEL)

    @property
    def evidence_file(self) -> Path:
        return evidence_path(self.root / "var/lib/edge-agent", MODEL)

    @property
    def store(self) -> ModelStore:
        return ModelStore(self.place, self.disk)

    def offer(self, sample: Sample | None) -> None:
        self.offered = sample
        if sample is not None:
            self.samples[sample.digest] = sample

    def restarted(self, disk: DiskTwin) -> Device:
        """Return it with another disk, in the same world."""
        return replace(self, disk=disk, samples=dict(self.samples))

    # The updater

    def visit(self) -> Record:
        """What `edge-agent ota look` does, but for the network and the probe."""
        self.now += 60
        visit = Visit(self)
        return visit.go()

    def run_to_the_end(self) -> Record:
        """Visits and runs of the agent in turn, as many as a good update needs."""
        record = self.visit()
        while record.state != "idle":
            self.run_agent()
            record = self.visit()
        return record

    def fetch(self, entry: FileEntry, partial: Path) -> None:
        """Go on where the partial broke off, in pieces.

        Raises:
            UpdateError: when the disk refuses, as the real one does.
            BrokenOffError: when that is all for this visit.
        """
        try:
            self._fetch(entry, partial)
        except OSError as error:
            raise UpdateError(f"{partial}: {error.strerror}") from error

    def _fetch(self, entry: FileEntry, partial: Path) -> None:
        sample = next(one for one in self.samples.values() if entry in one.release.files)
        data = sample.files[entry.path]
        names = self.disk.names(partial.parent)
        done = self.disk.size(partial) if partial.name in names else 0
        # A cut may have left bytes that never came from the repository: the real one hashes what it has.
        if partial.name in names and self.disk.read(partial, entry.bytes + 1) != data[:done]:
            self.disk.unlink(partial)
            done = 0
        while done < entry.bytes:
            piece = data[done : done + 1500]
            if self.fetch_bytes is not None:
                piece = piece[: self.fetch_bytes]
                self.fetch_bytes -= len(piece)
            self.disk.append(partial, piece)
            done += len(piece)
            if self.fetch_bytes == 0:
                raise BrokenOffError
        if not entry.bytes:
            self.disk.write(partial, b"")
        self.disk.sync(partial)

    # The agent

    def evidence(self) -> Evidence | None:
        try:
            return Evidence.model_validate_json(self.disk.read(self.evidence_file, 65_536))
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise UpdateError(f"{self.evidence_file}: {error.strerror}") from error

    def run_agent(self) -> Sample | None:
        """Start the agent, run it for a while and end it; return what it alarmed with."""
        self.now += 60
        record, evidence = self.store.peek(), self.evidence()
        slot = slot_to_run(record, evidence)
        candidate = record.candidate
        tried = may_start(record, evidence)
        if record.state in ("shadow", "trial") and candidate is not None:
            evidence = self._count(record, evidence, tried)
        runs = None if slot is None else self.loaded(record, slot)
        if tried and evidence is not None and candidate is not None:
            self._see(evidence, self.samples[candidate.digest].conduct.get(evidence.phase, "good"))
        return runs

    def loaded(self, record: Record, slot: str) -> Sample:
        """Return what lies in a slot; fail unless that is one release, whole, as the record names it."""
        installed = next(
            one for one in (record.committed, record.candidate) if one is not None and one.slot == slot
        )
        sample = self.samples[installed.digest]
        prefix = f"{self.place.slot(slot)}/"
        found = {
            path.removeprefix(prefix): data
            for path, data in self.disk.everything().items()
            if path.startswith(prefix)
        }
        assert found == dict(sample.files), f"slot {slot} is not release {installed.release}"
        return sample

    def _count(self, record: Record, evidence: Evidence | None, tried: bool) -> Evidence:
        candidate = record.candidate
        if evidence is None or (evidence.digest, evidence.phase) != (candidate.digest, record.state):
            evidence = Evidence(digest=candidate.digest, phase=record.state)
        if tried:
            evidence = evidence.model_copy(update={"starts": evidence.starts + 1})
        elif not evidence.failed:
            evidence = evidence.model_copy(update={"failed": f"{evidence.starts} starts, none lasted"})
        self._write(evidence)
        return evidence

    def _see(self, evidence: Evidence, conduct: str) -> None:
        if conduct in ("crashing", "silent"):
            return
        agreed = 0 if conduct == "disagreeing" else 10
        failed = "slower than its budget" if conduct == "slow" else ""
        seen = {
            "seconds": 1_000.0,
            "verdicts": 100,
            "shadow": ShadowFigures(compared=10, agreed=agreed),
            "failed": failed,
            "updated": self.now,
        }
        self._write(evidence.model_copy(update=seen))

    def _write(self, evidence: Evidence) -> None:
        try:
            replace_file(self.disk, self.evidence_file, evidence.model_dump_json().encode())
        except OSError as error:
            raise UpdateError(f"{self.evidence_file}: {error.strerror}") from error


class Visit:
    """One run of the updater."""

    def __init__(self, device: Device) -> None:
        self.device, self.store = device, device.store
        self.probing = False

    def go(self) -> Record:
        record = self.store.record()
        self.store.tidy(record)
        record = self._asked(record)
        while record.state != "idle":
            event = self._step(record)
            if event is None:
                break
            following = self._after(record, event)
            if following is record:
                break
            record = self.store.write(following)
        return record

    def _after(self, record: Record, event: Event) -> Record:
        following = after(record, event, self.device.now)
        self.device.transitions.add((record.state, type(event).__name__, following.state))
        return following

    def _asked(self, record: Record) -> Record:
        """Ask the repository, where that can change anything."""
        if record.state not in ("idle", "space", "fetch"):
            return record
        offered = self.device.offered
        under_way = record.candidate
        if offered is None or not wanted(record, offered.release.release, offered.digest, part=True):
            if under_way is None:
                self._after(self._after(record, Look()), NothingNew())
                return record
            return self.store.write(self._after(record, NothingNew()))
        if under_way is not None and under_way.digest == offered.digest:
            return record
        looked = record if under_way else self._after(record, Look())
        event = Offered(offered.release.release, offered.digest, "campaign", CONFIG.tries)
        return self.store.write(self._after(looked, event))

    def _step(self, record: Record) -> Event | None:
        device, candidate = self.device, record.candidate
        if record.state in ("commit", "rollback"):
            return Settled()
        assert candidate is not None
        sample = device.samples[candidate.digest]
        match record.state:
            case "space":
                needed = self.store.still_to_fetch(self.store.prepare(record, sample.release))
                return Fits() if needed <= self.store.free() else DoesNotFit(f"{needed} bytes are needed")
            case "fetch":
                return self._fetch(record, sample)
            case "verify" | "staged" | "probe" | "switch":
                try:
                    self.store.verify(candidate.slot, sample.release)
                except UpdateError as error:
                    return Corrupt(str(error))
                return self._tested(record, sample)
            case _:
                return judge_trial(record, device.evidence(), CONFIG, device.now)

    def _fetch(self, record: Record, sample: Sample) -> Event:
        try:
            for entry in self.store.prepare(record, sample.release):
                self.device.fetch(entry, self.store.partial(entry))
                self.store.place(record.candidate.slot, entry)
        except BrokenOffError:
            return FetchFailed("the line broke", final=sample.conduct.get("fetch") == "gone")
        return Fetched()

    def _tested(self, record: Record, sample: Sample) -> Event:
        if record.state == "verify":
            return Verified()
        if record.state == "switch":
            return Switched()
        if not self.probing:
            self.probing = True
            return Probing()
        bad = "probe" in sample.conduct
        return ProbeFailed("other outputs than its golden ones") if bad else Probed()
