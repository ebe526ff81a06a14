"""A bundle becomes a release that waits to be published; so does an old release, with a higher counter.

Its files go at once to where they are served, and nothing refers to them yet. What is there is not copied
again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Metadata, TargetFile, Targets

from vedette_converters.release.checks import checked_files
from vedette_converters.release.names import checked
from vedette_converters.release.repository import Repository
from vedette_converters.release.roles import delegated, renewed
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.release import (
    MAX_RELEASE_BYTES,
    Budget,
    Release,
    Rollout,
    file_target,
    read_release,
    read_rollout,
    release_target,
    signable,
)

__all__ = ["Wanted", "add", "change_rollout", "current", "earlier_releases", "fleet_role", "revert"]

_CAMPAIGN = 48  # characters of the model's name in it


@dataclass(frozen=True)
class Wanted:
    """What a release says beside its files, and who takes it at first."""

    hardware: tuple[str, ...] = ()
    agent: str | None = None
    budget: Budget = Budget()
    notes: str = ""
    share: float = 0.0
    first: tuple[str, ...] = ()


def add(
    repository: Repository, bundle: Path, fleet: str, model: str, wanted: Wanted, now: datetime
) -> Release:
    """Make a release of a bundle.

    Args:
        repository: to which no other writer is at work.
        bundle: whose every file is checked before anything is written.
        fleet: who may take it.
        model: its name on the devices.
        wanted: what else it says.
        now: UTC.

    Raises:
        VedetteError: when the bundle cannot be trusted or is current already, or the fleet is unknown.
    """
    role = fleet_role(repository, fleet)
    files = checked_files(bundle)
    digest = next(entry.sha256 for entry in files if entry.path == "manifest.json")
    known = current(repository, role, fleet, model)
    if known is not None and known[0].digest == digest:
        raise UsageError(
            f"{bundle} is release {known[0].release} of '{model}' for the fleet '{fleet}' already; "
            "nothing was changed"
        )
    release = _release(repository, fleet, model, files, wanted, now)
    for entry in files:
        path = repository.target(file_target(fleet, model, entry.sha256), entry.sha256)
        if not _is(path, entry):
            repository.disk.copy(bundle / entry.path, entry, path)
    _stage(repository, role, fleet, release, _rollout(release, wanted), now)
    return release


def revert(
    repository: Repository, fleet: str, model: str, to: int | None, wanted: Wanted, now: datetime
) -> Release:
    """Make a new release of an old one's files: the only way back, as devices never take a lower counter.

    Args:
        repository: to which no other writer is at work.
        fleet: whose.
        model: which.
        to: counter of the old release; None: the one before the current.
        wanted: who takes it at first; the rest is as it was.
        now: UTC.

    Raises:
        UsageError: when there is no such release, or it is the current one.
        UpdateError: when a file of it is no longer there.
    """
    role = fleet_role(repository, fleet)
    known = current(repository, role, fleet, model)
    if known is None:
        raise UsageError(f"there is no release of '{model}' for the fleet '{fleet}' to go back from")
    for old in earlier_releases(repository, fleet, model):
        if (
            to is None and old.release < known[0].release and old.digest != known[0].digest
        ) or old.release == to:
            break
    else:
        which = "earlier release" if to is None else f"release {to}"
        raise UsageError(f"there is no {which} of '{model}' for the fleet '{fleet}'; see release status")
    if old.digest == known[0].digest:
        raise UsageError(f"release {old.release} has the files of the current one; nothing was changed")
    for entry in old.files:
        path = repository.target(file_target(fleet, model, entry.sha256), entry.sha256)
        if not _is(path, entry):
            raise UpdateError(f"{path} of release {old.release} is gone or damaged: add its bundle again")
    as_it_was = Wanted(
        old.hardware, old.agent, old.budget, wanted.notes or f"the files of release {old.release}",
        wanted.share, wanted.first,
    )  # fmt: skip
    release = _release(repository, fleet, model, old.files, as_it_was, now)
    _stage(repository, role, fleet, release, _rollout(release, as_it_was), now)
    return release


def change_rollout(repository: Repository, fleet: str, model: str, rollout: Rollout, now: datetime) -> None:
    """Say anew who takes the current release; it waits to be published.

    Raises:
        UsageError: when there is no such fleet or release.
    """
    role = fleet_role(repository, fleet)
    name = release_target(fleet, model)
    if name not in role.signed.targets:
        raise UsageError(f"there is no release of '{model}' for the fleet '{fleet}': add one first")
    changed = _next(repository, role, fleet, now)
    changed.signed.targets[name].unrecognized_fields["custom"] = signable(rollout)
    repository.stage(fleet, changed)


def fleet_role(repository: Repository, fleet: str) -> Metadata[Targets]:
    """Return a fleet's metadata, as it waits or as it is published.

    Raises:
        UsageError: when there is no such fleet.
    """
    staged, published = repository.staged(), repository.published()
    role = staged.fleets.get(fleet) or published.fleets.get(fleet)
    if role is None:
        fleets = ", ".join(sorted({*staged.fleets, *published.fleets})) or "none"
        raise UsageError(f"there is no fleet '{fleet}' in {repository.directory}; there are: {fleets}")
    return role


def current(
    repository: Repository, role: Metadata[Targets], fleet: str, model: str
) -> tuple[Release, Rollout] | None:
    """Return the release that a fleet's metadata names for a model, and who takes it; None: none.

    Raises:
        UpdateError: when release.json is missing or damaged.
    """
    target = role.signed.targets.get(release_target(fleet, model))
    if target is None:
        return None
    return _release_of(repository, target), read_rollout(target.custom)


def earlier_releases(repository: Repository, fleet: str, model: str) -> Iterator[Release]:
    """Yield the releases that the fleet's keys of today have signed, the newest first, each once."""
    published = repository.published()
    delegation = delegated(published.targets).get(fleet)
    seen: set[str] = set()
    if delegation is None or published.targets is None:
        return
    for metadata in repository.earlier(fleet):
        target = metadata.signed.targets.get(release_target(fleet, model))
        if target is None or target.hashes["sha256"] in seen:
            continue
        seen.add(target.hashes["sha256"])
        result = published.targets.signed.get_verification_result(
            fleet, metadata.signed_bytes, metadata.signatures
        )
        if result:
            yield _release_of(repository, target)


def _release(
    repository: Repository, fleet: str, model: str, files: Sequence[FileEntry], wanted: Wanted, now: datetime
) -> Release:
    # Its counter comes last: until then `model` may be no name at all, and it is looked for in a directory.
    release = checked(
        Release,
        model=model,
        release=1,
        created=now.timestamp(),
        files=tuple(files),
        agent=wanted.agent,
        hardware=wanted.hardware,
        budget=wanted.budget,
        notes=wanted.notes,
    )
    return release.model_copy(update={"release": _next_counter(repository, fleet, model)})


def _rollout(release: Release, wanted: Wanted) -> Rollout:
    campaign = f"{release.model[:_CAMPAIGN].rstrip('-')}-{release.release}"
    return checked(Rollout, campaign=campaign, share=wanted.share, first=wanted.first)


def _stage(
    repository: Repository,
    role: Metadata[Targets],
    fleet: str,
    release: Release,
    rollout: Rollout,
    now: datetime,
) -> None:
    """Write release.json, and keep the fleet's metadata that names it until it is published."""
    document = release.model_dump_json().encode()
    if len(document) > MAX_RELEASE_BYTES:
        raise UpdateError(
            f"release.json would have {len(document)} bytes, at most {MAX_RELEASE_BYTES} are taken"
        )
    name = release_target(fleet, release.model)
    target = TargetFile.from_data(name, document, ["sha256"])
    target.unrecognized_fields["custom"] = signable(rollout)
    changed = _next(repository, role, fleet, now)
    # Files of the release before stay served, and unnamed: nobody begins to fetch them any more.
    others = {
        path: one
        for path, one in changed.signed.targets.items()
        if not path.startswith(f"{fleet}/{release.model}/")
    }
    files = {
        path: TargetFile(entry.bytes, {"sha256": entry.sha256}, path)
        for entry in release.files
        for path in (file_target(fleet, release.model, entry.sha256),)
    }
    changed.signed.targets = {**others, **files, name: target}
    repository.disk.write(repository.target(name, target.hashes["sha256"]), document)
    repository.stage(fleet, changed)


def _next(repository: Repository, role: Metadata[Targets], fleet: str, now: datetime) -> Metadata[Targets]:
    """Return what may be changed: the version after the published one, without signatures."""
    published = repository.published().fleets.get(fleet)
    changed = renewed(fleet, role, now)
    changed.signed.version = published.signed.version + 1 if published else 1
    return changed


def _next_counter(repository: Repository, fleet: str, model: str) -> int:
    """Return one above every release that was ever made here, published or not."""
    directory = repository.targets / fleet / model
    found = [0]
    for path in directory.glob("*.release.json") if directory.is_dir() else ():
        found.append(read_release(path.read_bytes()[: MAX_RELEASE_BYTES + 1]).release)
    return max(found) + 1


def _release_of(repository: Repository, target: TargetFile) -> Release:
    path = repository.target(target.path, target.hashes["sha256"])
    try:
        document = path.read_bytes()
    except OSError as error:
        raise UpdateError(f"{path}: cannot read this release ({error.strerror}); restore it") from error
    if hashlib.sha256(document).hexdigest() != target.hashes["sha256"]:
        raise UpdateError(f"{path} is not the file that was signed; restore it from a copy")
    return read_release(document)


def _is(path: Path, entry: FileEntry) -> bool:
    """Tell whether a file is there, whole and what it should be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1_048_576):
            digest.update(chunk)
        return digest.hexdigest() == entry.sha256
