"""What would be published, were some of what waits a part of it: signed and counted, not written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root, UnsignedMetadataError

from vedette_converters.release.roles import (
    ONLINE,
    Roles,
    delegated,
    due,
    missing_signatures,
    next_snapshot,
    next_timestamp,
    renewed,
)
from vedette_edge.errors import UpdateError, UsageError

__all__ = ["Attempt", "Signers"]

Signers = Callable[[str], Signer | None]
"""Return what signs with a key, by its id; None where it is not here."""


class Attempt:
    """What would be published.

    Attributes:
        complete: whether a client would take it, once it is sealed.
        missing: signatures that hinder that, by role.
        held: fleets whose new metadata is not a part of it, and how many signatures these lack.
        roles: root, targets and the fleets.
    """

    def __init__(
        self,
        published: Roles,
        staged: Roles,
        structure: tuple[str, ...],
        signers: Signers,
        now: datetime,
        document: Callable[[str, int], bytes],
    ) -> None:
        """Sign what these keys can, and count as a client counts.

        Args:
            published: what a client finds now.
            staged: what waits; what is signed here keeps its signatures.
            structure: of root and targets, which of those that wait are a part of it.
            signers: the keys at hand.
            now: UTC.
            document: gives published metadata as it lies there, by role and version.
        """
        self._published, self._signers, self._now = published, signers, now
        self._document = document
        self.missing: dict[str, int] = {}
        self.held: dict[str, int] = {}
        roles = published
        for role in structure:
            roles = roles.having(role, _present(staged, role))
        self.complete = roles.root is not None and roles.targets is not None
        if not self.complete:
            self.missing = dict.fromkeys(("root", "targets"), 1)
            return
        self.roles = self._take("root", roles)
        self.roles = self._take("targets", self.roles)
        for fleet in delegated(self.roles.targets):
            self._take_fleet(fleet, staged)
        self.complete = not self.missing

    def _take(self, role: str, roles: Roles) -> Roles:
        """Sign a role's metadata; where what is published no longer counts, renew it."""
        metadata = _present(roles, role)
        before = self._published.root if role == "root" and self._published.root is not metadata else None
        if metadata is self._published.get(role):
            if not missing_signatures(roles, role):
                return roles
            metadata = renewed(role, metadata, self._now)
        roles = roles.having(role, metadata)
        self._sign(roles, role)
        lacking = missing_signatures(roles, role, before)
        if lacking:
            self.missing[role] = lacking
        return roles

    def _take_fleet(self, fleet: str, staged: Roles) -> None:
        waiting, before = staged.get(fleet), self._published.get(fleet)
        if waiting is not None:
            candidate = self.roles.having(fleet, waiting)
            self._sign(candidate, fleet)
            lacking = missing_signatures(candidate, fleet)
            if not lacking:
                self.roles = candidate
                return
            self.held[fleet] = lacking
        if before is None:
            self.missing[fleet] = self.held.pop(fleet, 1)
            return
        self.roles = self._take(fleet, self.roles.having(fleet, before))

    def _sign(self, roles: Roles, role: str) -> None:
        """Add the signatures of all keys at hand, of those before a change of keys too."""
        metadata = _present(roles, role)
        keyids: list[str] = []
        for those in (roles, self._published):
            authority = those.authority(role)
            known = {} if authority is None else _roles_of(authority)
            keyids += known[role].keyids if role in known else []
        for keyid in dict.fromkeys(keyids):
            signer = None if keyid in metadata.signatures else self._signers(keyid)
            if signer is not None:
                _add(metadata, signer)

    def sealed(self, renew: frozenset[str]) -> Roles:
        """Return all with a snapshot and a timestamp that name them."""
        roles, published = self.roles, self._published
        named = {
            role: (one.signed.version, self._bytes(role, one))
            for role, one in roles.items()
            if role not in ("root", *ONLINE)
        }
        unchanged = all(one is published.get(role) for role, one in roles.items() if role in named)
        if not unchanged or self._is_due("snapshot", renew):
            roles = roles.having("snapshot", next_snapshot(published.snapshot, named, self._now))
            self._seal(roles, "snapshot")
        snapshot = roles.snapshot
        assert snapshot is not None
        if snapshot is not published.snapshot or self._is_due("timestamp", renew):
            stamp = next_timestamp(
                published.timestamp, (snapshot.signed.version, self._bytes("snapshot", snapshot)), self._now
            )
            roles = roles.having("timestamp", stamp)
            self._seal(roles, "timestamp")
        return roles

    def _bytes(self, role: str, metadata: Metadata[Any]) -> bytes:
        # Written again, what another program wrote might differ in a space, and its hash with it.
        unchanged = metadata is self._published.get(role)
        return self._document(role, metadata.signed.version) if unchanged else metadata.to_bytes()

    def _is_due(self, role: str, renew: frozenset[str]) -> bool:
        before = self._published.get(role)
        if before is None or role in renew or due(role, before, self._now):
            return True
        return bool(missing_signatures(self.roles.having(role, before), role))

    def _seal(self, roles: Roles, role: str) -> None:
        self._sign(roles, role)
        lacking = missing_signatures(roles, role)
        if lacking:
            raise UsageError(
                f"{role} needs {lacking} more signature(s), and the online key is not here with its "
                "passphrase: give --keys, or publish where it is; what is published has not changed"
            )


def _present(roles: Roles, role: str) -> Metadata[Any]:
    metadata = roles.get(role)
    assert metadata is not None, role
    return metadata


def _roles_of(authority: Metadata[Any]) -> Mapping[str, Any]:
    if isinstance(authority.signed, Root):
        return authority.signed.roles
    return delegated(authority)


def _add(metadata: Metadata[Any], signer: Signer) -> None:
    try:
        metadata.sign(signer, append=True)
    except UnsignedMetadataError as error:
        raise UpdateError(f"a key cannot sign: {error}") from error
