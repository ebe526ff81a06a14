"""What a device believes of releases: what enough keys signed, not older than what it knew, not expired.

A `Repository` says which release is current for a model, and fetches its files. `TrustedRepository` is the
real one, for one visit; what it says was checked as `client` and `download` describe.

Errors tell what to do: after a `TransportError` the next visit tries again, and nothing is held against the
release, because anybody on the way can cause one. Any other `UpdateError` of `fetch` speaks against the
release itself; one of `offer` against the repository as it is now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import TargetFile

from vedette_edge.config.ota import OtaConfig
from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.client import RELEASES, Client
from vedette_edge.ota.download import download
from vedette_edge.ota.fetcher import Web, body
from vedette_edge.ota.layout import Store
from vedette_edge.ota.pace import WINDOW, Pace
from vedette_edge.ota.release import (
    MAX_RELEASE_BYTES,
    Release,
    Rollout,
    file_target,
    read_release,
    read_rollout,
    release_target,
)

__all__ = ["Offer", "Repository", "TrustedRepository"]

_MOST_ROOT_BYTES = 512_000


@dataclass(frozen=True, slots=True)
class Offer:
    """The current release of a model, and who takes part in its rollout; both signed."""

    release: Release
    rollout: Rollout


class Repository(Protocol):
    """Where releases come from."""

    def offer(self, model: str) -> Offer | None:
        """Return the current release of a model; None where none was made.

        Raises:
            UpdateError: when that cannot be told, or cannot be believed.
        """

    def fetch(self, model: str, entry: FileEntry, partial: Path) -> None:
        """Make `partial` a file of a release: whole, hashed, on the disk; what is there of it is made use of.

        Raises:
            TransportError: when it does not come whole now.
            UpdateError: when that file is not signed.
        """


class TrustedRepository:
    """The repository of the configuration, for one visit. Not for several threads."""

    def __init__(
        self,
        config: OtaConfig,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        window: float = WINDOW,
    ) -> None:
        """Begin a visit; nothing is sent before the first question.

        Args:
            config: of the updates.
            store: where the floor and the cache lie; for one process at a time.
            clock: Unix time.
            window: seconds over which the least rate is judged.

        Raises:
            UpdateError: when the root metadata that came with the device cannot be read.
        """
        self._config = config
        self._targets_url = f"{config.url}/targets"
        self._releases = store.metadata / RELEASES
        self._web = Web(config.url, Pace(config.deadline, config.least_rate, window=window))
        self._client = Client(
            f"{config.url}/metadata",
            root=_read_root(config.root),
            cache=store.metadata,
            floor=store.floor,
            web=self._web,
            clock=clock,
        )

    def close(self) -> None:
        """Close what is open."""
        self._web.close()

    def offer(self, model: str) -> Offer | None:
        """As `Repository.offer`; the metadata are brought up to date once a visit.

        Raises:
            TransportError: when it cannot be told now.
            UpdateError: when what is there is forged, older than what was seen, expired, not valid, or too
                large for this device.
        """
        name = release_target(self._config.fleet, model)
        target = self._client.target(name)
        if target is None:
            return None
        if target.length > MAX_RELEASE_BYTES:
            raise UpdateError(f"{name} has {target.length} bytes, at most {MAX_RELEASE_BYTES} are taken")
        release = read_release(self._document(model, target))
        if release.model != model:
            raise UpdateError(f"{name} is a release of '{release.model}'; publish it anew")
        if release.bytes > self._config.most_bytes:
            raise UpdateError(
                f"release {release.release} of '{model}' has {release.bytes} bytes, at most "
                f"{self._config.most_bytes} are taken here (most_bytes in the section 'ota')"
            )
        return Offer(release, read_rollout(target.custom))

    def fetch(self, model: str, entry: FileEntry, partial: Path) -> None:
        """As `Repository.fetch`.

        Raises:
            TransportError: when it does not come whole now.
            UpdateError: when that file is not signed, or is signed as another.
        """
        name = file_target(self._config.fleet, model, entry.sha256)
        try:
            target = self._client.target(name)
        except UpdateError as error:
            # Whoever forges metadata must not be able to have a release refused.
            raise TransportError(str(error)) from error
        if target is None:
            raise UpdateError(
                f"'{entry.path}' of the release is not signed: {name} is no target; publish it anew"
            )
        if (target.length, target.hashes.get("sha256")) != (entry.bytes, entry.sha256):
            raise UpdateError(
                f"{name} is signed with other bytes than those that the release names for '{entry.path}'; "
                "publish it anew"
            )
        download(self._web, self._client.wanted(target, self._targets_url), partial)

    def _document(self, model: str, target: TargetFile) -> bytes:
        """Return release.json; it is fetched only where it is not the one that is kept."""
        kept = self._releases / f"{model}.json"
        try:
            document = kept.read_bytes()
            target.verify_length_and_hashes(document)
        except (OSError, RepositoryError):
            document = self._fetched(target)
            try:
                self._releases.mkdir(exist_ok=True)
                write_atomically(kept, document)
            except OSError as error:
                raise TransportError(f"{kept}: cannot write it ({error.strerror}); check the disk") from error
        return document

    def _fetched(self, target: TargetFile) -> bytes:
        url = self._client.wanted(target, self._targets_url).url
        try:
            with self._web.get(url) as answer:
                document = b"".join(body(url, answer, target.length))
            target.verify_length_and_hashes(document)
        except (DownloadHTTPError, RepositoryError) as error:
            raise TransportError(f"{url}: {error}; check that the repository is complete") from error
        return document


def _read_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            root = file.read(_MOST_ROOT_BYTES + 1)
    except OSError as error:
        raise UpdateError(
            f"{path}: cannot read the repository's root metadata ({error.strerror}); copy it there from the "
            "repository, over a way that you trust"
        ) from error
    if len(root) > _MOST_ROOT_BYTES:
        raise UpdateError(f"{path} is no root metadata: it has more than {_MOST_ROOT_BYTES} bytes")
    return root
