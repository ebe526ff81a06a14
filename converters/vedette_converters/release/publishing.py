"""Publishes: signs what waits and what is due, and writes it so that a reader finds the old or the new.

1. Nothing is written that a client would refuse: all signatures are counted first, as a client counts them.
2. What nothing refers to yet is written first, timestamp.json last. Where a new root takes keys away that the
   timestamp before it was signed with, the new timestamp is signed by the old keys too and written before
   that root, so that it is taken with either. Only where an old key is gone is there a moment, between two
   renames, in which a client is refused and comes again.
3. What lacks signatures waits, and hinders nothing else. `signing` adds what is missing, wherever the key is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from vedette_converters.release.attempt import Attempt, Signers
from vedette_converters.release.repository import Repository
from vedette_converters.release.roles import (
    ONLINE,
    Roles,
    delegated,
    due,
    missing_signatures,
    remaining,
    renewed,
)
from vedette_edge.errors import UpdateError, UsageError

__all__ = ["Published", "publish"]

_STRUCTURES = (("root", "targets"), ("root",), ("targets",), ())


@dataclass(frozen=True)
class Published:
    """What became of it.

    Attributes:
        written: role and version of each, in the order of writing.
        waiting: signatures that are missing, by role; these stay where they were.
        notes: for whoever looks at it, such as what expires.
    """

    written: tuple[tuple[str, int], ...] = ()
    waiting: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()


def publish(
    repository: Repository, signers: Signers, now: datetime, *, renew: Iterable[str] = ()
) -> Published:
    """Sign and publish what waits, and renew what has less than half of its validity left.

    The fleets', snapshot and timestamp are renewed by themselves; root and targets where `renew` names them.

    Args:
        repository: to which no other writer is at work (`Repository.alone`).
        signers: the keys at hand.
        now: UTC.
        renew: roles to be renewed in any case.

    Raises:
        UpdateError: when a file is damaged, or the disk refuses.
        UsageError: when the online key is needed and not here, or a role to be renewed is unknown.
    """
    published = repository.published()
    staged = _staged(repository, published)
    for role in renew:
        if role not in ONLINE:
            before = staged.get(role) or published.get(role)
            if before is None:
                raise UsageError(f"there is no role '{role}' to renew; see  vedette-convert release status")
            staged = staged if staged.get(role) else staged.having(role, renewed(role, before, now))
    staged = _with_what_is_due(published, staged, signers, now)

    there = [those for those in _STRUCTURES if all(staged.get(role) for role in those)]
    attempts = [Attempt(published, staged, those, signers, now, repository.document) for those in there]
    attempt = next((one for one in attempts if one.complete), None)
    if attempt is None:
        _keep(repository, staged)
        raise UsageError(_not_yet(published, attempts[0].missing))
    try:
        new = attempt.sealed(frozenset(renew))
    except UsageError:
        _keep(repository, staged)
        raise
    _write(repository, published, new)
    waiting = _waiting(attempt, staged)
    _keep(repository, staged, done=new)
    written = tuple((role, one.signed.version) for role, one in new.items() if published.get(role) is not one)
    return Published(written, waiting, tuple(_notes(new, now)))


def _staged(repository: Repository, published: Roles) -> Roles:
    """Return what waits, without what a killed publication had published already."""
    staged = repository.staged()
    for role, waiting in list(staged.items()):
        before = published.get(role)
        if before is None or waiting.signed.version > before.signed.version:
            continue
        if waiting.signed != before.signed:
            raise UpdateError(
                f"{repository.waiting(role)} is version {waiting.signed.version} of '{role}', and version "
                f"{before.signed.version} is published: remove that file, and make the change anew"
            )
        repository.disk.remove(repository.waiting(role))
        staged = staged.without(role)
    return staged


def _with_what_is_due(published: Roles, staged: Roles, signers: Signers, now: datetime) -> Roles:
    for fleet, role in delegated(published.targets).items():
        before = published.get(fleet)
        if before is None or staged.get(fleet) is not None or not due(fleet, before, now):
            continue
        if sum(signers(keyid) is not None for keyid in role.keyids) >= role.threshold:
            staged = staged.having(fleet, renewed(fleet, before, now))
    return staged


def _write(repository: Repository, published: Roles, new: Roles) -> None:
    changed = {role: one for role, one in new.items() if published.get(role) is not one}

    def put(role: str) -> None:
        metadata = changed.get(role)
        if metadata is not None:
            name = f"{role}.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
            repository.disk.write(repository.metadata / name, metadata.to_bytes())

    for role in changed:
        if role not in ("root", "timestamp"):
            put(role)
    root_last = published.root is not None and not any(
        missing_signatures(Roles(published.root, new.targets, {}, new.snapshot, new.timestamp), role)
        for role in ("targets", *ONLINE)
    )
    for role in ("timestamp", "root") if root_last else ("root", "timestamp"):
        put(role)
    assert new.root is not None
    newest = new.root.to_bytes()
    if not repository.device_root.exists() or repository.device_root.read_bytes() != newest:
        repository.disk.write(repository.device_root, newest)


def _keep(repository: Repository, staged: Roles, done: Roles | None = None) -> None:
    """Keep what waits, with the signatures that it got; forget what is published."""
    for role, waiting in staged.items():
        path = repository.waiting(role)
        published = done.get(role) if done else None
        if published is not None and published.signed == waiting.signed:
            repository.disk.remove(path)
        elif not path.exists() or path.read_bytes() != waiting.to_bytes():
            repository.disk.write(path, waiting.to_bytes())


def _waiting(attempt: Attempt, staged: Roles) -> dict[str, int]:
    left = dict(attempt.held)
    for role in ("root", "targets"):
        waiting = staged.get(role)
        if waiting is not None and attempt.roles.get(role) is not waiting:
            lacking = missing_signatures(attempt.roles.having(role, waiting), role, attempt.roles.root)
            left[role] = lacking
    for fleet, _ in staged.fleets.items():
        if fleet not in delegated(attempt.roles.targets):
            left[fleet] = 0
    return left


def _not_yet(published: Roles, missing: Mapping[str, int]) -> str:
    lacking = ", ".join(f"{role} lacks {count}" for role, count in missing.items())
    if published.timestamp is None:
        return (
            f"nothing is published yet: {lacking} signature(s); add them with  vedette-convert release sign"
        )
    return f"what is published no longer counts: {lacking} signature(s); restore the repository from a copy"


def _notes(roles: Roles, now: datetime) -> Iterable[str]:
    for role, metadata in roles.items():
        if due(role, metadata, now):
            days = remaining(metadata, now).total_seconds() / 86_400
            yield (
                f"'{role}' expires in {days:.0f} days: sign it again with  "
                f"vedette-convert release publish --renew {role}"
            )
