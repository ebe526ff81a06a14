"""What an optimisation was asked for and has done so far, as files: whole after any interruption.

`search.json` says what is searched, `trials.jsonl` has a line for each ratio that is done.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vedette_converters.pareto import Candidate
from vedette_edge.errors import DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import Precision, Runtime, TemporalMode
from vedette_edge.validation import describe_errors
from vedette_train.runs import MODEL_FILE

__all__ = ["Search", "Trial", "add_trial", "claim", "read_trials", "weights_digest"]

SEARCH_FILE, TRIALS_FILE = "search.json", "trials.jsonl"

Share = Annotated[float, Field(ge=0, lt=1)]

Kind = TypeVar("Kind", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Search(_Record):
    """What is searched. Bounds on latency and size are not part of it: they only choose among its trials."""

    run: str = Field(description="Folder of the dense run.")
    weights: str = Field(description="SHA-256 of its weights.")
    ratios: tuple[Share, ...] = Field(min_length=1, description="Shares of channels to remove; 0 is first.")
    runtimes: tuple[Runtime, ...] = Field(min_length=1)
    precisions: tuple[Precision, ...] = Field(min_length=1)
    modes: tuple[TemporalMode, ...] | None = Field(description="None: stream where the network is causal.")
    epochs: int = Field(ge=0, description="Of training after channels were removed.")
    threads: int = Field(ge=0, description="Of one call; 0: the runtime's choice.")
    max_drop: Share = Field(description="Bound on the accuracy that a variant loses against its network.")

    @model_validator(mode="after")
    def _begins_dense(self) -> Search:
        if self.ratios[0] != 0 or list(self.ratios) != sorted(set(self.ratios)):
            raise ValueError(f"ratios must rise from 0, got {_told(self.ratios)}")
        return self


class Trial(_Record):
    """What came of one ratio."""

    ratio: float
    reference: float | None = Field(description="Accuracy of its network in PyTorch; None where it failed.")
    candidates: tuple[Candidate, ...] = ()
    failed: str | None = Field(default=None, description="Why there is no bundle.")


def weights_digest(run: Path) -> str:
    """Return the SHA-256 of a finished run's weights.

    Raises:
        DataError: when it has none.
    """
    try:
        return hashlib.sha256((run / MODEL_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"{run} has no {MODEL_FILE}: it is not a finished run; give the --out of vedette-train fit"
        ) from error


def claim(directory: Path, search: Search) -> None:
    """Begin a search in a folder, or go on with it.

    Raises:
        UsageError: when something else lies there, or a search that differs; the differences are listed.
        DataError: when the folder's search cannot be read.
    """
    path = directory / SEARCH_FILE
    if not path.is_file():
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is not empty and holds no search; choose another --out")
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (search.model_dump_json(indent=2) + "\n").encode())
        return
    before = _read(Search, path, path.read_text(encoding="utf-8"))
    differing = [
        f"{name} was {_told(getattr(before, name))} and is {_told(getattr(search, name))}"
        for name in Search.model_fields
        if getattr(before, name) != getattr(search, name)
    ]
    if differing:
        raise UsageError(
            f"{directory} holds another search: {'; '.join(differing)}; choose another --out, or go on with "
            "what it was begun with"
        )


def read_trials(directory: Path) -> list[Trial]:
    """Return the trials that are done, in their order.

    Raises:
        DataError: when they cannot be read.
    """
    path = directory / TRIALS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [_read(Trial, path, line) for line in lines]


def add_trial(directory: Path, trial: Trial) -> None:
    """Write down a trial behind those that are done."""
    path = directory / TRIALS_FILE
    before = path.read_bytes() if path.is_file() else b""
    write_atomically(path, before + trial.model_dump_json().encode() + b"\n")


def _read(kind: type[Kind], path: Path, text: str) -> Kind:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise DataError(
            f"{path}: {describe_errors(error, kind)}; remove its folder, or choose another --out"
        ) from error


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
