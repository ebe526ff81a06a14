"""What the metadata of a repository says, and whether a client would take it: pure.

    root         N of M offline keys, a year          says whose keys the others are
    targets      N of M offline keys, 90 days         delegates to one terminating role a fleet
    FLEET        the fleet's keys, 90 days            which files are its releases
    snapshot     one online key, 7 days               which versions belong together
    timestamp    the same key, 7 days                 which snapshot is the newest

The delegations are a tree: nothing is delegated twice. Nothing is read or signed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

__all__ = [
    "ONLINE",
    "RESERVED",
    "Roles",
    "delegated",
    "due",
    "first_root",
    "first_targets",
    "missing_signatures",
    "next_snapshot",
    "next_timestamp",
    "remaining",
    "renewed",
    "validity",
    "with_fleet",
]

RESERVED: Final = ("root", "targets", "snapshot", "timestamp")
ONLINE: Final = ("snapshot", "timestamp")
_DAYS: Final = {"root": 365, "snapshot": 7, "timestamp": 7}
_DAYS_OF_TARGETS: Final = 90

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True)
class Roles:
    """Metadata by role, as published, or as it waits for signatures."""

    root: Metadata[Root] | None = None
    targets: Metadata[Targets] | None = None
    fleets: Mapping[str, Metadata[Targets]] = field(default_factory=dict)
    snapshot: Metadata[Snapshot] | None = None
    timestamp: Metadata[Timestamp] | None = None

    def items(self) -> Iterator[tuple[str, Metadata[Any]]]:
        """Yield (role, metadata) of what is there."""
        for name in ("root", "targets"):
            if getattr(self, name) is not None:
                yield name, getattr(self, name)
        yield from self.fleets.items()
        for name in ONLINE:
            if getattr(self, name) is not None:
                yield name, getattr(self, name)

    def get(self, role: str) -> Metadata[Any] | None:
        """Return the metadata of a role; None where there is none."""
        return dict(self.items()).get(role)

    def having(self, role: str, metadata: Metadata[Any]) -> Roles:
        """Return these with the metadata of a role."""
        changed: dict[str, Any] = {role: metadata}
        if role in RESERVED:
            return replace(self, **changed)
        return replace(self, fleets={**self.fleets, role: metadata})

    def without(self, *roles: str) -> Roles:
        """Return these without some roles."""
        kept = {name: one for name, one in self.fleets.items() if name not in roles}
        gone: dict[str, Any] = {name: None for name in roles if name in RESERVED}
        return replace(self, fleets=kept, **gone)

    def authority(self, role: str) -> Metadata[Root] | Metadata[Targets] | None:
        """Return the metadata that says whose keys sign a role."""
        return self.root if role in RESERVED else self.targets


def validity(role: str) -> timedelta:
    """Return for how long a role's metadata is valid."""
    return timedelta(days=_DAYS.get(role, _DAYS_OF_TARGETS))


def remaining(metadata: Metadata[Any], now: datetime) -> timedelta:
    """Return how long metadata is valid yet; negative where it has expired."""
    left: timedelta = metadata.signed.expires - now
    return left


def due(role: str, metadata: Metadata[Any], now: datetime) -> bool:
    """Tell whether less than half of a role's validity is left."""
    return remaining(metadata, now) < validity(role) / 2


def first_root(
    keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], now: datetime
) -> Metadata[Root]:
    """Return version 1 of root, unsigned.

    Args:
        keys: of root, targets, snapshot and timestamp.
        thresholds: of the same; one where it is not given.
        now: UTC.
    """
    root = Root(expires=_expiry("root", now), consistent_snapshot=True)
    for role, those in keys.items():
        for key in those:
            root.add_key(key, role)
        root.roles[role].threshold = thresholds.get(role, 1)
    return Metadata(root)


def first_targets(now: datetime) -> Metadata[Targets]:
    """Return version 1 of a role that names targets, without any; unsigned."""
    return Metadata(Targets(expires=_expiry("targets", now)))


def with_fleet(
    targets: Metadata[Targets], fleet: str, keys: Sequence[Key], threshold: int
) -> Metadata[Targets]:
    """Return the top-level targets with one more fleet; unsigned."""
    signed = deepcopy(targets.signed)
    if signed.delegations is None:
        signed.delegations = Delegations(keys={}, roles={})
    assert signed.delegations.roles is not None
    signed.delegations.roles[fleet] = DelegatedRole(
        fleet, [], threshold, terminating=True, paths=[f"{fleet}/*/release.json", f"{fleet}/*/files/*"]
    )
    for key in keys:
        signed.add_key(key, fleet)
    return Metadata(signed)


def delegated(targets: Metadata[Targets] | None) -> Mapping[str, Role]:
    """Return the fleets' roles."""
    if targets is None or targets.signed.delegations is None or targets.signed.delegations.roles is None:
        return {}
    return targets.signed.delegations.roles


def renewed(role: str, metadata: Metadata[S], now: datetime) -> Metadata[S]:
    """Return the next version of metadata that says the same, for longer; unsigned."""
    signed = deepcopy(metadata.signed)
    signed.version += 1
    signed.expires = _expiry(role, now)
    return Metadata(signed)


def next_snapshot(
    before: Metadata[Snapshot] | None, named: Mapping[str, tuple[int, bytes]], now: datetime
) -> Metadata[Snapshot]:
    """Return the snapshot after `before` that names these versions, unsigned.

    Args:
        before: None: this is the first.
        named: version and file of each role but root, snapshot and timestamp.
        now: UTC.
    """
    meta = {
        f"{role}.json": MetaFile.from_data(version, data, ["sha256"])
        for role, (version, data) in named.items()
    }
    version = before.signed.version + 1 if before else 1
    return Metadata(Snapshot(version, expires=_expiry("snapshot", now), meta=meta))


def next_timestamp(
    before: Metadata[Timestamp] | None, snapshot: tuple[int, bytes], now: datetime
) -> Metadata[Timestamp]:
    """Return the timestamp after `before` that names the version and file of a snapshot; unsigned."""
    version = before.signed.version + 1 if before else 1
    named = MetaFile.from_data(*snapshot, ["sha256"])
    return Metadata(Timestamp(version, expires=_expiry("timestamp", now), snapshot_meta=named))


def missing_signatures(roles: Roles, role: str, before: Metadata[Root] | None = None) -> int:
    """Return how many signatures a role's metadata lacks to be taken by a client.

    Args:
        roles: with the metadata, and that of who says whose keys it needs.
        role: which of them.
        before: of root: the root before it, whose keys must have signed it too.
    """
    authority, metadata = roles.authority(role), roles.get(role)
    assert authority is not None
    assert metadata is not None
    found = [authority.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)]
    if role == "root" and before is not None:
        found.append(before.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures))
    return max(0, *(one.missing for one in found))


def _expiry(role: str, now: datetime) -> datetime:
    # TUF has whole seconds.
    return (now + validity(role)).replace(microsecond=0)
