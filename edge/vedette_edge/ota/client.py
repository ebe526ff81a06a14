"""The TUF client of python-tuf, held to what a device needs beyond it.

- Its root of trust is the file that came with the device, on every start; the cache is only a cache. What is
  damaged in there is fetched again, or set aside.
- Nothing below the floor is taken (see `floor`), and what was taken is on the disk before it is told.
- Delegations are a tree.
- Metadata of which half of the time has passed are warned of; expired ones end in an error that says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.download import Wanted
from vedette_edge.ota.fetcher import Fetcher, Web
from vedette_edge.ota.floor import BUILT, Floor, FloorFile
from vedette_edge.ota.guard import GuardedSet

__all__ = ["RELEASES", "Client"]

_log = logging.getLogger(__name__)

RELEASES: Final = "releases"
_HISTORY: Final = "root_history"
_LINK: Final = "root.json"
_HOUR: Final = 3600.0
_LIMITS: Final = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=32,
    root_max_length=512_000,
    timestamp_max_length=16_384,
    snapshot_max_length=2_000_000,
    targets_max_length=5_000_000,
)


class Client:
    """One refresh of the metadata of one repository, and what is known after it."""

    def __init__(
        self,
        url: str,
        *,
        root: bytes,
        cache: Path,
        floor: Path,
        web: Web,
        clock: Callable[[], float] = time.time,
        built: float = BUILT,
    ) -> None:
        """Make ready; nothing is read or sent yet.

        Args:
            url: of the metadata.
            root: the root metadata that came with the device.
            cache: the client's directory, made where there is none; for one process at a time.
            floor: the file of the floor, outside of `cache`.
            web: the repository's origin, and the visit's pace.
            clock: Unix time.
            built: Unix time before which it cannot be.
        """
        self._url = url
        self._root = root
        self._cache = cache
        self._floor_file = FloorFile(floor)
        self._web = web
        self._clock = clock
        self._built = built
        self._opened: tuple[Updater, GuardedSet] | None = None
        self._floor = Floor()
        self._warned: set[str] = set()

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date; once, later calls do nothing.

        Raises:
            TransportError: when they cannot be had now.
            UpdateError: when they are forged, older than what was seen, or expired.
        """
        if self._opened is not None:
            return
        with self._told_plainly():
            self._floor = self._floor_file.read()
            now = self._floor.reference_time(self._clock(), self._built)
            trusted = GuardedSet(self._root, self._floor, now)
            _make_sound(self._cache)
            _follow_kept_roots(trusted, self._cache)
            updater = Updater(
                str(self._cache),
                self._url,
                fetcher=Fetcher(self._web),
                config=_LIMITS,
                bootstrap=self._root,
            )
            # It takes neither a clock nor a set of its own; what it would do with one is what we want.
            updater._trusted_set = trusted
            updater.refresh()
            self._keep(trusted)
        self._opened = (updater, trusted)

    def target(self, name: str) -> TargetFile | None:
        """Return what is signed of a target; None where nothing is.

        Args:
            name: path of the target.

        Raises:
            TransportError: when it cannot be told now.
            UpdateError: as `refresh`; or when a role has two parents.
        """
        self.refresh()
        assert self._opened is not None
        updater, trusted = self._opened
        with self._told_plainly():
            found = updater.get_targetinfo(name)
            trusted.check_tree()
            self._keep(trusted)
        return found

    def wanted(self, target: TargetFile, url: str) -> Wanted:
        """Return where a target lies, in the repository's `url` of targets, and what it must be."""
        assert self._opened is not None
        path = target.path
        if self._opened[1].root.consistent_snapshot:
            directory, slash, name = path.rpartition("/")
            path = f"{directory}{slash}{next(iter(target.hashes.values()))}.{name}"
        return Wanted(f"{url.rstrip('/')}/{path}", target.length, target.hashes)

    def _keep(self, trusted: GuardedSet) -> None:
        """Have the cache, then the floor, on the disk, where there is something new."""
        floor = trusted.floor(self._floor)
        if floor.time - self._floor.time < _HOUR:
            # So that a poll without news writes next to nothing.
            floor = floor.model_copy(update={"time": self._floor.time})
        if floor != self._floor:
            _flush(self._cache)
            self._floor = self._floor_file.write(floor)
        self._warn_of_age(trusted)

    def _warn_of_age(self, trusted: GuardedSet) -> None:
        now = trusted.reference_time.timestamp()
        for role, expiry in trusted.expiries().items():
            seen = self._floor.sightings[role].time
            if now > seen + (expiry - seen) / 2 and role not in self._warned:
                self._warned.add(role)
                _log.warning(
                    "%s: '%s' expires at %s, and more than half of its time has passed; have it signed anew",
                    self._url,
                    role,
                    _text(expiry),
                )

    @contextlib.contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except ExpiredMetadataError as error:
            now = self._floor.reference_time(self._clock(), self._built)
            raise UpdateError(
                f"{self._url}: {error}, at {_text(now)}; no update is taken, what runs goes on. Have the "
                "repository signed anew, or set the clock right"
            ) from error
        except DownloadHTTPError as error:
            raise TransportError(f"{error}; check the address of the repository") from error
        # Of names in signed metadata that no file can have, python-tuf raises ValueError.
        except (RepositoryError, DownloadError, ValueError) as error:
            raise UpdateError(
                f"{self._url}: {error}; nothing of it is taken, what runs goes on. If that stays so, the "
                "repository is damaged, or somebody has tampered with it"
            ) from error
        except OSError as error:
            raise TransportError(
                f"{self._cache}: cannot keep the metadata ({error.strerror or error}); check the disk"
            ) from error


def _follow_kept_roots(trusted: GuardedSet, cache: Path) -> None:
    """Go from the root that came with the device to the newest that is kept, each signed by the one before.

    The TUF client would do that itself, but count them among the few new ones that it follows in a refresh.
    """
    with contextlib.suppress(OSError, RepositoryError):
        while True:
            trusted.update_root((cache / _HISTORY / f"{trusted.root.version + 1}.root.json").read_bytes())


def _make_sound(cache: Path) -> None:
    """Make the cache what the TUF client expects; where it is something else, set it aside."""
    if os.path.lexists(cache) and not _is_sound(cache):
        aside = cache.with_name(f"{cache.name}.damaged")
        _log.warning("%s is no cache of metadata; it is set aside as %s", cache, aside.name)
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)
        cache.rename(aside)
    cache.mkdir(parents=True, exist_ok=True)
    for path in cache.iterdir():
        # A killed client leaves its temporary files.
        if path.suffix != ".json" and path.is_file():
            path.unlink()


def _is_sound(cache: Path) -> bool:
    kinds = {_HISTORY: stat.S_ISDIR, RELEASES: stat.S_ISDIR, _LINK: stat.S_ISLNK}
    if not stat.S_ISDIR(cache.lstat().st_mode):
        return False
    below = (path for name in (_HISTORY, RELEASES) for path in cache.glob(f"{name}/*"))
    return all(kinds.get(path.name, stat.S_ISREG)(path.lstat().st_mode) for path in cache.iterdir()) and all(
        stat.S_ISREG(path.lstat().st_mode) for path in below
    )


def _flush(cache: Path) -> None:
    """Have the whole cache on the disk: the TUF client does not."""
    for directory in (cache, cache / _HISTORY):
        for path in (*directory.iterdir(), directory):
            if not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
