"""What a visit is made with, in memory: a repository, a probe, a clock; and the configuration of a device."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
from pathlib import Path

import yaml
from edge_helpers import edit_manifest

from vedette_edge.bundle import open_bundle
from vedette_edge.config import load_config
from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.by_hand import named_files
from vedette_edge.ota.evidence import Evidence, ShadowFigures, write_evidence
from vedette_edge.ota.layout import Store, evidence_path
from vedette_edge.ota.release import Release, Rollout
from vedette_edge.ota.stages import Tools
from vedette_edge.ota.store import ModelStore
from vedette_edge.ota.trust import Offer
from vedette_edge.ota.visit import visit

BOARD = "raspberry-pi-4"


def device(directory: Path, *, models=("door",), camera=None, mqtt=None, **ota) -> Path:
    """Write the configuration of a device below `directory`; return its path."""
    store = directory / "models"
    values = {
        "site": "hall",
        "node": "node-1",
        "board": "none",
        "state_dir": str(directory / "state"),
        "models": {model: {"bundle": str(store / model)} for model in models},
        "cameras": [{"id": "cam", "source": {"type": "file", "path": "x.mp4"}} | (camera or {})],
        "mqtt": mqtt or {},
        "ota": {
            "url": "http://127.0.0.1:1",
            "fleet": "fleet-a",
            "root": str(directory / "root.json"),
            "store": str(store),
            "models": list(models),
        }
        | ota,
    }
    path = directory / "edge-agent.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@contextlib.contextmanager
def logs_restored():
    """Put back, in the end, what a command in this process did to the logs."""
    root, ours = logging.getLogger(), logging.getLogger("vedette_edge")
    before = root.handlers, root.level, ours.level
    try:
        yield
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])


def bundle_files(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle by their paths."""
    return {entry.path: (bundle / entry.path).read_bytes() for entry in named_files(open_bundle(bundle))}


def another(bundle: Path, directory: Path, number: int) -> Path:
    """Copy a bundle, as its release of that number."""
    shutil.copytree(bundle, directory)
    edit_manifest(directory, lambda values: values.update(release=number))
    return directory


class RepositoryTwin:
    """Releases in memory, fetched in one piece, or in as many as `patience` files a visit."""

    def __init__(self) -> None:
        self.offers: dict[str, Offer] = {}
        self.contents: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.asked = 0
        self.closed = 0
        self.error: UpdateError | None = None
        self.unsigned: set[str] = set()
        self.patience: int | None = None

    def release(self, model, bundle, number, *, share=1.0, paused=False, **changes):
        """Publish a bundle."""
        entries = []
        for path, data in bundle_files(bundle).items():
            digest = hashlib.sha256(data).hexdigest()
            self.contents[digest] = data
            entries.append(FileEntry(path=path, bytes=len(data), sha256=digest))
        release = Release(model=model, release=number, created=0.0, files=tuple(entries), **changes)
        rollout = Rollout(campaign=f"{model}-{number}", share=share, paused=paused)
        self.offers[model] = Offer(release, rollout)
        return release

    def offer(self, model):
        self.asked += 1
        if self.error:
            raise self.error
        return self.offers.get(model)

    def fetch(self, model, entry, partial):
        assert model in self.offers
        if entry.path in self.unsigned:
            raise UpdateError(f"{entry.path} is not signed")
        if self.patience is not None and len(self.fetched) >= self.patience:
            raise TransportError("the line is down")
        partial.write_bytes(self.contents[entry.sha256])
        self.fetched.append(entry.path)

    def close(self):
        self.closed += 1


class Device:
    """A device whose visits a test makes, one by one; between them it plays the agent."""

    def __init__(self, config: Path, repository: RepositoryTwin) -> None:
        self.config = load_config(config)
        self.ota = self.config.ota
        self.repository = repository
        self.now = 1_000_000.0
        self.probed: list[Path] = []
        self.probe_error: Exception | None = None
        self.board: str | None = None
        self.free = 10**12

    def visit(self):
        """Return how one visit leaves each model, by its name."""
        tools = Tools(
            repository=lambda: contextlib.closing(self.repository),
            store=self._store,
            probe=self._probe,
            board=self.board,
            now=lambda: self.now,
        )
        return {one.model: one for one in visit(self.config, self.ota, tools)}

    def store(self, model="door"):
        return ModelStore(Store(self.ota.store).model(model))

    def record(self, model="door"):
        return self.store(model).peek()

    def adopt(self, bundle, model="door"):
        self.ota.store.mkdir(exist_ok=True)
        return self.store(model).adopt(bundle, self.now)

    def sees(self, model="door", *, seconds=1000.0, verdicts=10, failed="", agreed=10):
        """Write evidence on the candidate, as the agent does."""
        record = self.record(model)
        evidence = Evidence(
            digest=record.candidate.digest,
            phase=record.state,
            starts=1,
            seconds=seconds,
            verdicts=verdicts,
            failed=failed,
            shadow=ShadowFigures(compared=10, agreed=agreed),
            updated=self.now,
        )
        write_evidence(evidence_path(self.config.state_dir, model), evidence)

    def states(self, model="door"):
        """Return the states in which visits leave a model until it is idle, the agent content."""
        found = []
        for _ in range(10):
            record = self.visit()[model].record
            found.append(record.state)
            if record.state == "idle":
                return found
            self.sees(model)
        raise AssertionError(f"never idle: {found}")

    def _store(self, place):
        store = ModelStore(place)
        store.free = lambda: self.free
        return store

    def _probe(self, bundle, _model, _budget):
        self.probed.append(bundle)
        if self.probe_error:
            raise self.probe_error
