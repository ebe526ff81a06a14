"""A repository of releases with keys in memory, disks that stop, and python-tuf's own client beside ours."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from vedette_converters.release.adding import Wanted, add
from vedette_converters.release.publishing import Published, publish
from vedette_converters.release.repository import OsDisk, Repository
from vedette_converters.release.rotation import establish, rotate
from vedette_edge.ota.release import Release, Rollout, read_release, read_rollout, release_target

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)
BASE = "file:///"


class KilledError(Exception):
    """The process was killed."""


class CuttingDisk(OsDisk):
    """Counts what is written, and dies before the one that it is told; half a file stays beside it."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.dies_at: int | None = None
        self.full = False

    def write(self, path, data):
        self._step(path, data)
        super().write(path, data)

    def copy(self, source, entry, path):
        self._step(path, b"")
        super().copy(source, entry, path)

    def remove(self, path):
        self._step(path, None)
        super().remove(path)

    def _step(self, path: Path, data: bytes | None) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        if len(self.steps) == self.dies_at:
            if data is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name(f".{path.name}.1.tmp").write_bytes(data[: len(data) // 2])
            raise KilledError(path)
        self.steps.append(path.name)


class Site:
    """A repository, and the keys of everybody."""

    def __init__(self, directory: Path, *, fleets=("gates",), root=(3, 2), targets=(3, 2)) -> None:
        self.disk = CuttingDisk()
        self.repository = Repository(directory / "site", self.disk)
        self.repository.work.mkdir(parents=True)
        self.signers: dict[str, Signer] = {}
        self.keyids: dict[str, str] = {}
        keys = {
            "root": [self.new_key(f"root-{n}") for n in range(root[0])],
            "targets": [self.new_key(f"targets-{n}") for n in range(targets[0])],
            "online": [self.new_key("online")],
        }
        of_fleets = {fleet: [self.new_key(fleet)] for fleet in fleets}
        thresholds = {"root": root[1], "targets": targets[1]}
        with self.repository.alone():
            establish(self.repository, keys, thresholds, of_fleets, 1, NOW)

    def new_key(self, name: str):
        signer = CryptoSigner.generate_ed25519()
        self.signers[signer.public_key.keyid] = signer
        self.keyids[name] = signer.public_key.keyid
        return signer.public_key

    def without(self, *names: str):
        """Return the keys at hand where these are not."""
        gone = {self.keyids[name] for name in names}
        return lambda keyid: None if keyid in gone else self.signers.get(keyid)

    def publish(self, now: datetime = NOW, *, signers=None, **options) -> Published:
        with self.repository.alone():
            return publish(self.repository, signers or self.signers.get, now, **options)

    def add(self, bundle: Path, model: str = "people", fleet: str = "gates", **wanted) -> Release:
        with self.repository.alone():
            return add(self.repository, bundle, fleet, model, Wanted(**{"share": 1.0, **wanted}), NOW)

    def files(self) -> dict[str, bytes]:
        """Return everything that is served."""
        directory = self.repository.directory
        return {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }


class _Directory(FetcherInterface):
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.asked: list[tuple[str, int]] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(BASE)
        try:
            data = (self._directory / name).read_bytes()
        except FileNotFoundError as error:
            self.asked.append((name, 0))
            raise DownloadHTTPError("not there", 404) from error
        self.asked.append((name, len(data)))
        return iter([data])


class Device:
    """python-tuf's client, set up with the root of a day and no more."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._root = (site.repository.metadata / "1.root.json").read_bytes()
        self.home = Path(tempfile.mkdtemp(dir=site.repository.directory.parent))
        self.asked: list[tuple[str, int]] = []

    def look(self) -> Updater:
        """Refresh the metadata, as a client does at each start."""
        fetcher = _Directory(self._site.repository.directory)
        self.asked = fetcher.asked
        client = Updater(
            str(self.home),
            f"{BASE}metadata/",
            str(self.home),
            f"{BASE}targets/",
            fetcher,
            bootstrap=self._root,
        )
        client.refresh()
        return client

    def current(self, model: str = "people", fleet: str = "gates") -> tuple[Release, Rollout] | None:
        """Return the release that is signed now; of its files only release.json is fetched."""
        client = self.look()
        target = client.get_targetinfo(release_target(fleet, model))
        if target is None:
            return None
        path = client.find_cached_target(target) or client.download_target(target)
        return read_release(Path(path).read_bytes()), read_rollout(target.custom)

    def offer(self, model: str = "people", fleet: str = "gates") -> tuple[Release, Rollout] | None:
        """Return the release that is signed now, once every file of it was fetched and hashed."""
        found = self.current(model, fleet)
        if found is None:
            return None
        release, rollout = found
        client = self.look()
        for entry in release.files:
            file = client.get_targetinfo(f"{fleet}/{model}/files/{entry.sha256}")
            assert file is not None
            assert (file.length, file.hashes) == (entry.bytes, {"sha256": entry.sha256})
            client.download_target(file)
        return release, rollout


def online_key(site, _bundle=None):
    rotate(site.repository, "online", remove=[site.keyids["online"]], add=[site.new_key("online-2")], now=NOW)


def root_keys(site, _bundle=None):
    gone = [site.keyids["root-0"], site.keyids["root-1"]]
    added = [site.new_key("root-3"), site.new_key("root-4")]
    rotate(site.repository, "root", remove=gone, add=added, now=NOW)


def targets_keys(site, _bundle=None):
    gone = [site.keyids[f"targets-{n}"] for n in range(3)]
    rotate(site.repository, "targets", remove=gone, add=[site.new_key(f"t-{n}") for n in range(3)], now=NOW)


def fleet_key(site, _bundle=None):
    rotate(site.repository, "gates", remove=[site.keyids["gates"]], add=[site.new_key("gates-2")], now=NOW)
