"""What the TUF client does not check by itself: the floor, the least time, and the tree of delegations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from tuf.api.exceptions import BadVersionNumberError, RepositoryError
from tuf.api.metadata import Delegations, Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from vedette_edge.ota.floor import Floor, Statement

__all__ = ["GuardedSet"]


class GuardedSet(TrustedMetadataSet):
    """The trusted metadata of one refresh, none of which is below the floor.

    The errors are the TUF client's own: so it treats what is refused here as it does what is badly signed,
    and writes none of it into its cache.
    """

    def __init__(self, root: bytes, floor: Floor, reference_time: float) -> None:
        """Trust `root`, as it came with the device.

        Args:
            root: the document.
            floor: what was seen before.
            reference_time: Unix time at which all must be valid.

        Raises:
            RepositoryError: when it is no valid root.
        """
        super().__init__(root, EnvelopeType.METADATA)
        self._floor = floor
        self.reference_time = datetime.fromtimestamp(reference_time, timezone.utc)
        self._signers: dict[str, tuple[str, ...]] = {}
        self._loaded: dict[str, Targets] = {}

    def update_timestamp(self, data: bytes) -> Timestamp:
        """Take a timestamp, unless it, or the root, is below the floor."""
        if self.root.version < self._floor.root:
            raise BadVersionNumberError(
                f"root v{self.root.version} is older than v{self._floor.root}, which was seen before"
            )
        document = Metadata[Timestamp].from_bytes(data)
        if isinstance(document.signed, Timestamp):
            self._hold("timestamp", self._floor.timestamp, _of_timestamp(document.signed))
        taken = super().update_timestamp(data)
        self._signers["timestamp"] = _signers(self.root, "timestamp", document)
        return taken

    def update_snapshot(self, data: bytes, trusted: bool | None = False) -> Snapshot:
        """Take a snapshot, unless what it says is below the floor."""
        document = Metadata[Snapshot].from_bytes(data)
        if isinstance(document.signed, Snapshot):
            meta = document.signed.meta.items()
            versions = {name.removesuffix(".json"): file.version for name, file in meta}
            self._hold("snapshot", self._floor.snapshot, versions)
        taken = super().update_snapshot(data, trusted)
        self._signers["snapshot"] = _signers(self.root, "snapshot", document)
        return taken

    def update_delegated_targets(self, data: bytes, role_name: str, delegator_name: str) -> Targets:
        """Take a targets role."""
        taken = super().update_delegated_targets(data, role_name, delegator_name)
        self._loaded[role_name] = taken
        return taken

    def check_tree(self) -> None:
        """Check that no role has two parents: one of them could vouch for it in the name of the other.

        Raises:
            RepositoryError: when one has.
        """
        parents: dict[str, str] = {}
        for parent, targets in self._loaded.items():
            for child in _children(targets.delegations, self._loaded):
                if child == Targets.type or child in parents:
                    raise RepositoryError(
                        f"role '{child}' is delegated by '{parents.get(child, 'root')}' and by '{parent}'; "
                        "only a tree of delegations is taken"
                    )
                parents[child] = parent

    def floor(self, before: Floor) -> Floor:
        """Return the floor after this refresh, once the top-level targets were taken.

        Args:
            before: the floor as it is on the disk.
        """
        versions = {name: targets.version for name, targets in self._loaded.items()}
        return before.after(
            self.root.roles,
            self.root.version,
            Statement(signers=self._signers["timestamp"], versions=_of_timestamp(self.timestamp)),
            Statement(signers=self._signers["snapshot"], versions=versions),
            self.reference_time.timestamp(),
        )

    def expiries(self) -> dict[str, float]:
        """Return the Unix time at which each role that was taken expires."""
        four = {"root": self.root, "timestamp": self.timestamp, "snapshot": self.snapshot}
        return {name: signed.expires.timestamp() for name, signed in {**four, **self._loaded}.items()}

    def _hold(self, speaker: str, floor: Statement, versions: dict[str, int]) -> None:
        if not floor.binds(self.root.roles[speaker]):
            return
        for name, version in versions.items():
            if version < floor.versions.get(name, 0):
                raise BadVersionNumberError(
                    f"{name} v{version} is older than v{floor.versions[name]}, which was seen before"
                )


def _of_timestamp(timestamp: Timestamp) -> dict[str, int]:
    return {"timestamp": timestamp.version, "snapshot": timestamp.snapshot_meta.version}


def _signers(root: Root, role: str, document: Metadata[Any]) -> tuple[str, ...]:
    found = root.get_verification_result(role, document.signed_bytes, document.signatures)
    return tuple(sorted(found.signed))


def _children(delegations: Delegations | None, loaded: dict[str, Targets]) -> Iterator[str]:
    """Give the names of the roles that are delegated; of hash bins, of those that were loaded."""
    if delegations is None:
        return
    yield from delegations.roles or {}
    bins = delegations.succinct_roles
    if bins is not None:
        yield from (name for name in loaded if bins.is_delegated_role(name))
