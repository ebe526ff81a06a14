"""Below what no signed metadata is taken: a memory of its own, which outlives the TUF client's cache.

The TUF client remembers versions by the files of its cache, which it does not flush: a power cut that empties
two of them would let an old signed repository in again. So what was seen is kept here, twice, flushed to the
disk, and never lowered. Only one thing ends a memory, as the TUF specification has it (5.3.11): that root has
taken away the keys that signed what was seen. Else a repository could not recover from a stolen key with
which somebody signed version 2,000,000,000.

The time is kept too: a clock that was set back, or a device without one, does not bring back to life what
had expired. A clock that runs ahead cannot freeze a device for ever: a time is trusted only once metadata
were valid at it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.metadata import Role

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.files import write_atomically
from vedette_edge.validation import describe_errors

__all__ = ["BUILT", "Floor", "FloorFile", "Sighting", "Statement"]

_log = logging.getLogger(__name__)

# Unix time before which this code cannot have run: 2026-11-01.
BUILT: Final = 1_793_491_200.0
_MAX_BYTES = 4_194_304


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Statement(_Part):
    """What an online role has said: the timestamp of itself and the snapshot, the snapshot of targets."""

    signers: tuple[str, ...] = Field(default=(), description="Key ids that signed it.")
    versions: dict[str, int] = Field(default={}, description="By role.")

    def binds(self, role: Role) -> bool:
        """Tell whether `role`, as root names its keys now, could still have said it."""
        return len(set(self.signers) & set(role.keyids)) >= role.threshold

    def followed_by(self, later: Statement, role: Role) -> Statement:
        """Return what is known after `later`; nothing is lowered, unless root has taken the keys away."""
        if not self.binds(role):
            return later
        highest = dict(self.versions)
        for name, version in later.versions.items():
            highest[name] = max(version, highest.get(name, 0))
        return Statement(signers=later.signers, versions=highest)


class Sighting(_Part):
    """When a version of a role was seen first."""

    version: int = Field(ge=1)
    time: float = Field(description="Unix time.")


class Floor(_Part):
    """What was seen."""

    schema_version: Literal[1] = 1
    seq: int = Field(default=0, ge=0, description="Rises with each writing.")
    time: float = Field(default=0.0, ge=0, description="Unix time at which metadata were valid last.")
    root: int = Field(default=0, ge=0, description="Version.")
    timestamp: Statement = Statement()
    snapshot: Statement = Statement()
    sightings: dict[str, Sighting] = Field(default={}, description="By role: the version that is in force.")

    def reference_time(self, now: float, built: float = BUILT) -> float:
        """Return the Unix time at which metadata must be valid, of a clock that says `now`."""
        return max(now, self.time, built)

    def after(
        self,
        roles: Mapping[str, Role],
        root: int,
        timestamp: Statement,
        snapshot: Statement,
        now: float,
    ) -> Floor:
        """Return the floor after a refresh in which all was valid.

        Args:
            roles: of the root in force.
            root: its version.
            timestamp: versions of the timestamp and the snapshot.
            snapshot: versions of the targets' roles that were loaded.
            now: the reference time of the refresh.
        """
        seen = {"root": root, **timestamp.versions, **snapshot.versions}
        return self.model_copy(
            update={
                "time": max(self.time, now),
                "root": max(self.root, root),
                "timestamp": self.timestamp.followed_by(timestamp, roles["timestamp"]),
                "snapshot": self.snapshot.followed_by(snapshot, roles["snapshot"]),
                "sightings": self.sightings | {name: self._sighting(name, seen[name], now) for name in seen},
            }
        )

    def _sighting(self, name: str, version: int, now: float) -> Sighting:
        before = self.sightings.get(name)
        return before if before and before.version == version else Sighting(version=version, time=now)


class FloorFile:
    """Keeps a floor on the disk, twice, so that no cut and no bad block takes both."""

    def __init__(self, path: Path) -> None:
        """Keep it at `path`, and beside it."""
        self._paths = (path, path.with_name(f"{path.stem}.second{path.suffix}"))

    def read(self) -> Floor:
        """Return the floor; a fresh one where there was none yet.

        Raises:
            UpdateError: when there is one, but it can no longer be read, nor its double.
        """
        found: list[Floor] = []
        damage: list[str] = []
        for path in self._paths:
            try:
                found.append(_read(path))
            except FileNotFoundError:
                continue
            except UpdateError as error:
                damage.append(str(error))
        if damage and not found:
            raise UpdateError(
                f"{'; '.join(damage)}. Without it an old release could pass for a new one, so none is taken; "
                "what runs goes on. Remove both files if you are sure of the network and the repository"
            )
        for text in damage:
            _log.warning("%s; its double is taken", text)
        return max(found, key=lambda floor: floor.seq, default=Floor())

    def write(self, floor: Floor) -> Floor:
        """Have the floor on the disk; return it as it was written.

        Raises:
            TransportError: when the disk refuses; then the old one holds.
        """
        written = floor.model_copy(update={"seq": floor.seq + 1})
        document = written.model_dump_json().encode()
        for path in self._paths:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, document)
            except OSError as error:
                raise TransportError(f"{path}: cannot write it ({error.strerror}); check the disk") from error
        return written


def _read(path: Path) -> Floor:
    try:
        with path.open("rb") as file:
            document = file.read(_MAX_BYTES + 1)
        return Floor.model_validate_json(document)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UpdateError(f"{path}: cannot read it ({error.strerror})") from error
    except ValidationError as error:
        raise UpdateError(f"{path} is damaged: {describe_errors(error, Floor)}") from error
