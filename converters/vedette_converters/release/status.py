"""What a repository holds: roles with their keys and expiries, releases, rollouts, and what waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vedette_converters.release.adding import current
from vedette_converters.release.campaigns import states
from vedette_converters.release.policy import RolloutState
from vedette_converters.release.repository import Repository
from vedette_converters.release.roles import RESERVED, Roles, delegated, due, missing_signatures, remaining
from vedette_edge.errors import UsageError
from vedette_edge.ota.release import Rollout

__all__ = ["ReleaseRow", "RoleRow", "Status", "look"]

_RELEASE = "/release.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RoleRow(_Part):
    """A role, as it is published or as it waits."""

    role: str
    version: int
    expires: float = Field(description="Unix time.")
    days_left: float
    warning: Literal["", "renew", "expired"]
    threshold: int
    keys: tuple[str, ...] = Field(description="Names where they are known here, else the beginning of ids.")
    published: bool
    missing: int = Field(description="Signatures that it lacks.")


class ReleaseRow(_Part):
    """The current release of a model."""

    fleet: str
    model: str
    release: int
    digest: str
    bytes: int
    files: int
    created: float = Field(description="Unix time.")
    notes: str
    rollout: Rollout
    published: bool


class Status(_Part):
    """All of it."""

    directory: str
    roles: tuple[RoleRow, ...]
    releases: tuple[ReleaseRow, ...]
    rollouts: tuple[RolloutState, ...]


def look(repository: Repository, name_of: Callable[[str], str], now: datetime) -> Status:
    """Read everything.

    Args:
        repository: which may be at any stage.
        name_of: how a key is called, by its id.
        now: UTC.

    Raises:
        UsageError: when there is no repository.
        UpdateError: when a file is missing or damaged.
    """
    if not repository.is_there():
        raise UsageError(
            f"{repository.directory} is no repository: make one with  vedette-convert release init"
        )
    published, staged = repository.published(), repository.staged()
    return Status(
        directory=str(repository.directory),
        roles=(
            *_roles(published, published, name_of, now, published=True),
            *_roles(staged, _over(published, staged), name_of, now, published=False),
        ),
        releases=(
            *_releases(repository, published, published=True),
            *_releases(repository, staged, published=False),
        ),
        rollouts=tuple(states(repository)),
    )


def _over(published: Roles, staged: Roles) -> Roles:
    """Return what would be published, were it all complete."""
    for role, metadata in staged.items():
        published = published.having(role, metadata)
    return published


def _roles(
    shown: Roles, all_: Roles, name_of: Callable[[str], str], now: datetime, *, published: bool
) -> Iterator[RoleRow]:
    for role, metadata in shown.items():
        authority = all_.root.signed.roles if role in RESERVED and all_.root else delegated(all_.targets)
        if role not in authority:
            continue
        left = remaining(metadata, now).total_seconds()
        yield RoleRow(
            role=role,
            version=metadata.signed.version,
            expires=metadata.signed.expires.timestamp(),
            days_left=round(left / 86_400, 2),
            warning="expired" if left <= 0 else "renew" if due(role, metadata, now) else "",
            threshold=authority[role].threshold,
            keys=tuple(name_of(keyid) for keyid in authority[role].keyids),
            published=published,
            missing=missing_signatures(all_, role),
        )


def _releases(repository: Repository, roles: Roles, *, published: bool) -> Iterator[ReleaseRow]:
    for fleet, metadata in sorted(roles.fleets.items()):
        for path in sorted(metadata.signed.targets):
            if not path.endswith(_RELEASE):
                continue
            model = path.split("/")[1]
            found = current(repository, metadata, fleet, model)
            assert found is not None
            release, rollout = found
            yield ReleaseRow(
                fleet=fleet,
                model=model,
                release=release.release,
                digest=release.digest,
                bytes=release.bytes,
                files=len(release.files),
                created=release.created,
                notes=release.notes,
                rollout=rollout,
                published=published,
            )
