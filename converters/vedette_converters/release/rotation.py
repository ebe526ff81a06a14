"""Makes a repository, adds fleets to it, and changes whose keys count: what waits for signatures afterwards.

A key of root or targets, or the online key, goes by a new root, which the keys of the old and of the new root
sign; a fleet's key goes by new targets. A device follows by itself, however many changes it missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata

from vedette_converters.release.names import identifier
from vedette_converters.release.repository import Repository
from vedette_converters.release.roles import (
    ONLINE,
    RESERVED,
    delegated,
    first_root,
    first_targets,
    renewed,
    with_fleet,
)
from vedette_edge.errors import UsageError

__all__ = ["add_fleet", "check_names", "establish", "rotate"]

_ROLES_OF = {"root": ("root",), "targets": ("targets",), "online": ONLINE}


def establish(
    repository: Repository,
    keys: Mapping[str, Sequence[Key]],
    thresholds: Mapping[str, int],
    fleets: Mapping[str, Sequence[Key]],
    fleet_threshold: int,
    now: datetime,
) -> None:
    """Begin a repository; all of it waits to be published.

    Args:
        repository: which must not be there yet.
        keys: of root, targets and online.
        thresholds: of root and targets.
        fleets: the keys of each fleet.
        fleet_threshold: signatures that each fleet needs.
        now: UTC.

    Raises:
        UsageError: when it is there, a threshold cannot be met, or a fleet's name is taken.
    """
    if repository.published().root is not None or any(repository.staged().items()):
        raise UsageError(f"{repository.directory} is a repository already; choose another place")
    check_names(fleets)
    for role, those in {**keys, **fleets}.items():
        _check(role, those, fleet_threshold if role in fleets else thresholds.get(role, 1))
    of_root = {role: keys["online" if role in ONLINE else role] for role in RESERVED}
    targets = first_targets(now)
    for fleet, those in fleets.items():
        targets = with_fleet(targets, fleet, those, fleet_threshold)
    targets.signed.version = 1
    for fleet in fleets:
        repository.stage(fleet, first_targets(now))
    repository.stage("targets", targets)
    repository.stage("root", first_root(of_root, thresholds, now))


def add_fleet(repository: Repository, fleet: str, keys: Sequence[Key], threshold: int, now: datetime) -> None:
    """Delegate to one more fleet; the targets wait for their signatures.

    Raises:
        UsageError: when there is one of that name, or the threshold cannot be met.
    """
    check_names([fleet])
    _check(fleet, keys, threshold)
    targets = _next(repository, "targets", now)
    if fleet in delegated(targets):
        raise UsageError(f"there is a fleet '{fleet}' already")
    repository.stage(fleet, first_targets(now))
    repository.stage("targets", with_fleet(targets, fleet, keys, threshold))


def check_names(fleets: Iterable[str]) -> None:
    """Find out whether fleets can be called so.

    Raises:
        UsageError: when one of them cannot.
    """
    for fleet in fleets:
        identifier(fleet, "the fleet")
        if fleet in (*RESERVED, "online"):
            raise UsageError(f"a fleet cannot be called '{fleet}': TUF has a role of that name")


def rotate(
    repository: Repository,
    role: str,
    *,
    remove: Sequence[str] = (),
    add: Sequence[Key] = (),
    threshold: int | None = None,
    now: datetime,
) -> str:
    """Change the keys of root, targets, online or a fleet; return whose metadata waits for signatures.

    Args:
        repository: to which no other writer is at work.
        role: whose keys.
        remove: ids, or the beginning of ids.
        add: keys.
        threshold: signatures that are needed from now on; None: as before.
        now: UTC.

    Raises:
        UsageError: when there is no such role or key, or the threshold cannot be met any more.
    """
    authority = "root" if role in _ROLES_OF else "targets"
    metadata = _next(repository, authority, now)
    roles = _ROLES_OF.get(role, (role,))
    known: Mapping[str, Any] = metadata.signed.roles if authority == "root" else delegated(metadata)
    if roles[0] not in known:
        fleets = ", ".join(sorted(delegated(_latest(repository, "targets"))))
        raise UsageError(
            f"there is no role '{role}': give root, targets, online, or a fleet of {fleets or 'none'}"
        )
    for one in roles:
        for text in remove:
            metadata.signed.revoke_key(_only(text, known[one].keyids, role), one)
        for key in add:
            metadata.signed.add_key(key, one)
        if threshold is not None:
            known[one].threshold = threshold
        if not 1 <= known[one].threshold <= len(known[one].keyids):
            raise UsageError(
                f"'{role}' would have {len(known[one].keyids)} key(s) and need {known[one].threshold}: "
                "add a key, or give a lower --threshold"
            )
    repository.stage(authority, metadata)
    return authority


def _latest(repository: Repository, role: str) -> Metadata[Any]:
    found = repository.staged().get(role) or repository.published().get(role)
    if found is None:
        raise UsageError(
            f"{repository.directory} is no repository: make one with  vedette-convert release init"
        )
    return found


def _next(repository: Repository, role: str, now: datetime) -> Metadata[Any]:
    """Return what may be changed: the version after the published one, without signatures."""
    published = repository.published().get(role)
    changed = renewed(role, deepcopy(_latest(repository, role)), now)
    changed.signed.version = published.signed.version + 1 if published else 1
    return changed


def _only(text: str, keyids: Sequence[str], role: str) -> str:
    found = [keyid for keyid in keyids if keyid.startswith(text)]
    if len(found) != 1 or not text:
        known = ", ".join(keyid[:12] for keyid in keyids)
        raise UsageError(f"'{text}' is not one key of '{role}'; its keys: {known}")
    return found[0]


def _check(role: str, keys: Sequence[Key], threshold: int) -> None:
    different = len({key.keyid for key in keys})
    if different != len(keys):
        raise UsageError(f"'{role}' was given a key twice; give {len(keys)} different ones")
    if not 1 <= threshold <= different:
        raise UsageError(f"'{role}' has {different} key(s) and would need {threshold}; lower the threshold")
