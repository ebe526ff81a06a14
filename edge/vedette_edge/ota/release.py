"""What a release is, as the repository says it: pure, nothing here reads a disk or a network.

A fleet's role of the TUF repository signs these targets, content-addressed, so that an unchanged file is
stored and fetched once:

    {fleet}/{model}/release.json        the current `Release`; its TUF `custom` is a `Rollout`
    {fleet}/{model}/files/{sha256}      a file of a release
"""

from __future__ import annotations

import hashlib
import re
from json import dumps
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from vedette_edge.errors import UpdateError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = [
    "MAX_RELEASE_BYTES",
    "Budget",
    "Release",
    "Rollout",
    "file_target",
    "read_release",
    "read_rollout",
    "release_target",
    "signable",
    "takes_part",
]

MAX_RELEASE_BYTES = 1_048_576
_SHA256 = r"^[0-9a-f]{64}$"
_RANGE = 2.0**64
_DECIMALS = 9
_DECIMAL = re.compile(rf"[01](\.[0-9]{{1,{_DECIMALS}}})?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Budget(_Part):
    """What a release may cost on a device; a device refuses one that costs more."""

    p95_ms: float | None = Field(default=None, gt=0, description="Of one call of the variant it would run.")
    peak_rss_bytes: int | None = Field(default=None, gt=0, description="Of a process that loads and runs it.")


class Release(_Part):
    """A bundle, as a device fetches it."""

    schema_version: Literal[1] = 1
    model: Identifier
    release: int = Field(ge=1, description="Counter; rises with each release of the model.")
    created: float = Field(ge=0, description="Unix time.")
    files: tuple[FileEntry, ...] = Field(min_length=1, description="Of the bundle, its manifest too.")
    agent: str | None = Field(default=None, pattern=r"^\d+\.\d+(\.\d+)?$", description="Least version.")
    hardware: tuple[Identifier, ...] = Field(default=(), description="Names of boards; none: any.")
    budget: Budget = Budget()
    notes: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _files_make_a_bundle(self) -> Release:
        paths = [entry.path for entry in self.files]
        if len(set(paths)) != len(paths):
            raise ValueError("files: a path stands twice")
        if MANIFEST_NAME not in paths:
            raise ValueError(f"files: {MANIFEST_NAME} is missing")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle's manifest, which names the model as a whole (as `Bundle.digest`)."""
        return next(entry.sha256 for entry in self.files if entry.path == MANIFEST_NAME)

    @property
    def bytes(self) -> int:
        """Length of all files."""
        return sum(entry.bytes for entry in self.files)


def _read_share(value: object) -> object:
    """Take a decimal text for its number: what is signed is canonical JSON, which has no fractions."""
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


class Rollout(_Part):
    """Who takes a release now; signed with it, and re-signed with each wave."""

    campaign: Identifier = Field(description="Names the rollout of one release.")
    share: Annotated[float, BeforeValidator(_read_share), Field(ge=0, le=1)] = Field(
        description='Of all nodes, who takes part so far; signed as a text such as "0.05".'
    )
    first: tuple[Identifier, ...] = Field(default=(), description="Nodes that take part whatever the share.")
    paused: bool = Field(default=False, description="Nobody begins; who is under way goes on.")


def release_target(fleet: str, model: str) -> str:
    """Return the name of the target that says which release is current."""
    return f"{fleet}/{model}/release.json"


def file_target(fleet: str, model: str, sha256: str) -> str:
    """Return the name of the target that is a file of a release."""
    return f"{fleet}/{model}/files/{sha256}"


def takes_part(rollout: Rollout, node: str) -> bool:
    """Tell whether a node takes a release now. Nobody keeps a list: who does follows from the names.

    A node that takes part at one share does so at each larger one.

    >>> takes_part(Rollout(campaign="c", share=1.0), "node-7")
    True
    """
    if rollout.paused:
        return False
    place = int.from_bytes(hashlib.sha256(f"{rollout.campaign}/{node}".encode()).digest()[:8], "big") / _RANGE
    return node in rollout.first or place < rollout.share


def read_release(document: bytes) -> Release:
    """Read release.json.

    Raises:
        UpdateError: when it is too long, or no valid release.
    """
    if len(document) > MAX_RELEASE_BYTES:
        raise UpdateError(f"the release has {len(document)} bytes, at most {MAX_RELEASE_BYTES} are taken")
    try:
        return Release.model_validate_json(document)
    except ValidationError as error:
        raise UpdateError(f"the release is not valid: {describe_errors(error, Release)}") from error


def signable(rollout: Rollout) -> dict[str, JsonValue]:
    """Return a rollout as the `custom` of a target, for `read_rollout`; its share in 9 decimals.

    >>> signable(Rollout(campaign="c", share=0.05))["share"]
    '0.05'
    """
    share = f"{rollout.share:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return {**rollout.model_dump(mode="json"), "share": share}


def read_rollout(custom: JsonValue) -> Rollout:
    """Read what the signed metadata says of a release.

    Raises:
        UpdateError: when it is no valid rollout.
    """
    try:
        return Rollout.model_validate_json(dumps(custom))
    except (ValidationError, ValueError, TypeError) as error:
        why = describe_errors(error, Rollout) if isinstance(error, ValidationError) else str(error)
        raise UpdateError(f"the rollout is not valid: {why}") from error
