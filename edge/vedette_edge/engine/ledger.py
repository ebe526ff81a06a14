"""Remembers beyond the end of the process what ran when it ended, so that a crash is not repeated for ever.

A variant that crashes or hangs in native code takes the process with it. So the ledger says which candidate
each model loads or runs, on the disk before it begins, and a mark, one byte a model, whether an inference is
under way: a write to memory that the system keeps when a process dies. The next process reads both:

1. A candidate that was being loaded, or was inferring, when its process ended fell with it. Where the machine
   itself went down, nothing fell. Where a candidate of an update fell, it alone did: what was there before
   must not be blamed for it.
2. A candidate that fell in two processes in a row is passed over for a day. A process that lived for an hour
   begins a new row.
3. Any other end clears the candidates that ran.

`Ledger` is a value and its functions are pure; `LedgerFile` keeps one on the disk. Where that cannot be
written, or another process has it, the engine runs without.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.files import write_atomically

__all__ = ["Fall", "Ledger", "LedgerFile", "Run", "boot_id", "key_of"]

_log = logging.getLogger(__name__)

Phase: TypeAlias = Literal["loading", "running"]

IN_A_ROW = 2
DAY = 86_400.0  # seconds
_HOUR = 3600.0
_MOST_BYTES = 1_048_576
_SLOTS = 256


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Run(_Part):
    """A candidate that a model loads or runs."""

    candidate: str
    phase: Phase
    slot: int = Field(default=0, ge=0, description="Of its mark.")
    note: str = Field(default="", description="What is known of its end, such as how long it hung.")
    update: bool = Field(default=False, description="Of an update that is still being tried.")


class Fall(_Part):
    """How often a candidate took its process with it."""

    count: int = Field(ge=1, description="In a row.")
    last: float = Field(description="Unix time at which that was found.")
    why: str


class Ledger(_Part):
    """What runs, and what fell before."""

    schema_version: Literal[1] = 1
    boot: str = Field(default="", description="Of the machine; empty where it is not told.")
    began: float = Field(default=0.0, description="Unix time at which the process began.")
    runs: dict[str, Run] = Field(default={}, description="By model.")
    falls: dict[str, Fall] = Field(default={}, description="By candidate.")

    def reopened(self, inferring: Collection[int], boot: str, now: float) -> Ledger:
        """Return the ledger of the process that follows, by the rules above.

        Args:
            inferring: the slots of the marks that say that an inference was under way.
            boot: of the machine.
            now: Unix time.
        """
        falls = dict(self.falls)
        fell = [run for run in self.runs.values() if run.phase == "loading" or run.slot in inferring]
        if boot != self.boot:
            fell = []
        fell = [run for run in fell if run.update] or fell
        for run in self.runs.values():
            before = falls.pop(run.candidate, None)
            if run not in fell:
                continue
            in_a_row = before.count if before and now - self.began < _HOUR else 0
            falls[run.candidate] = Fall(count=in_a_row + 1, last=now, why=run.note or _WHY[run.phase])
        return Ledger(boot=boot, began=now, falls=falls)

    def with_run(self, model: str, run: Run) -> Ledger:
        """Return it with what a model does now."""
        return self.model_copy(update={"runs": self.runs | {model: run}})

    def stopped(self) -> Ledger:
        """Return it with nothing running: the process ends as it should."""
        cleared = {run.candidate for run in self.runs.values() if run.phase == "running"}
        falls = {name: fall for name, fall in self.falls.items() if name not in cleared}
        return self.model_copy(update={"runs": {}, "falls": falls})

    def passed_over(self, candidate: str, now: float) -> Fall | None:
        """Return why a candidate is passed over, at Unix time `now`; None where it is not."""
        fall = self.falls.get(candidate)
        # A clock that went back passes over for longer, not for ever: it is set right some time.
        return fall if fall and fall.count >= IN_A_ROW and now - fall.last < DAY else None


_WHY = {"loading": "its process ended as it was loaded", "running": "its process ended in an inference"}


class LedgerFile:
    """Keeps a ledger in a directory; for one process at a time."""

    def __init__(
        self, directory: Path | None, *, boot: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Read what the process before left, and begin a new ledger.

        Args:
            directory: is made where it is not there; None: nothing is kept.
            boot: of the machine; by default, as the system tells.
            clock: Unix time.
        """
        self._clock = clock
        self._marks: int | None = None
        self._slots: dict[str, int] = {}
        self._lock = threading.Lock()
        self.ledger = Ledger(boot=boot_id() if boot is None else boot, began=clock())
        if directory is None:
            return
        self._path = directory / "ledger.json"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._marks = self._take_over(_locked(directory / "inferring"))
        except OSError as error:
            taken = "another process keeps one there"
            why = taken if isinstance(error, BlockingIOError) else error.strerror
            _log.warning("%s: no ledger of the models is kept (%s)", directory, why)
            return
        self._write()
        # Only now: what the marks said is on the disk.
        with contextlib.suppress(OSError):
            os.ftruncate(self._marks, 0)

    def _take_over(self, marks: int) -> int:
        """Read what the process before left, by its ledger and its marks; return the marks."""
        before = _read(self._path)
        if before is not None:
            inferring = [slot for slot, mark in enumerate(os.pread(marks, _SLOTS, 0)) if mark]
            self.ledger = before.reopened(inferring, self.ledger.boot, self.ledger.began)
        return marks

    def passed_over(self, candidate: str) -> Fall | None:
        """Return why a candidate is passed over now; None where it is not."""
        return self.ledger.passed_over(candidate, self._clock())

    def fallen(self, digest: str) -> Fall | None:
        """Return why a candidate of a bundle is passed over now; None where none is."""
        names = [name for name in self.ledger.falls if name.startswith(key_of(digest, ""))]
        return next(filter(None, map(self.passed_over, names)), None)

    def tell(self, model: str, candidate: str, phase: Phase, *, update: bool = False) -> None:
        """Write what a model does, on the disk before this returns."""
        slot = self._slots.setdefault(model, len(self._slots))
        self._put(model, Run(candidate=candidate, phase=phase, slot=slot, update=update))

    def forget(self, model: str) -> None:
        """Write that a model does nothing any more."""
        with self._lock:
            runs = {name: run for name, run in self.ledger.runs.items() if name != model}
            self.ledger = self.ledger.model_copy(update={"runs": runs})
            self._write()

    def mark(self, model: str, inferring: bool) -> None:
        """Say whether an inference of a model is under way."""
        # Under the lock, lest a closed descriptor is another file's by now.
        with self._lock:
            if self._marks is not None:
                # A disk that fails must not stop the inference.
                with contextlib.suppress(OSError):
                    os.pwrite(self._marks, bytes([inferring]), self._slots[model])

    def note(self, model: str, note: str) -> None:
        """Write what is known of the end that is near."""
        run = self.ledger.runs.get(model)
        if run is not None:
            self._put(model, run.model_copy(update={"note": note}))

    def close(self) -> None:
        """Write that the process ends as it should."""
        with self._lock:
            self.ledger = self.ledger.stopped()
            self._write()
            if self._marks is not None:
                os.close(self._marks)
                self._marks = None

    def _put(self, model: str, run: Run) -> None:
        with self._lock:
            self.ledger = self.ledger.with_run(model, run)
            self._write()

    def _write(self) -> None:
        if self._marks is None:
            return
        try:
            write_atomically(self._path, self.ledger.model_dump_json(indent=2).encode() + b"\n")
        except OSError as error:
            _log.warning("%s: cannot write the ledger of the models (%s)", self._path, error.strerror)


def key_of(digest: str, candidate: str) -> str:
    """Return what names a candidate of a bundle in the ledger."""
    return f"{digest[:16]}/{candidate}"


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return what names this start of the machine; nothing where the system does not tell."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _locked(path: Path) -> int:
    """Open a file that no other process has.

    Raises:
        OSError: when another process has it, or it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _read(path: Path) -> Ledger | None:
    """Return the ledger in a file; None where there is none that can be read."""
    try:
        with path.open("rb") as file:
            return Ledger.model_validate_json(file.read(_MOST_BYTES))
    except (OSError, ValidationError):
        return None
