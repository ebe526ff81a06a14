"""Which slot of a model store runs, and why: the updater's record and the agent's evidence, in one place.

1. In every state but `trial` the committed slot alarms. In `trial` the candidate does, until it has failed.
2. A candidate is started only once its start is counted on the disk. What cannot be counted is not started.
3. Its tries are used up by any start, whatever ended the one before: a crash, a hang, a power cut, a restart.
   So a crash loop ends by itself, without the updater and without a network.
4. A candidate that has failed stays failed: it never runs again under that record.
5. A record that cannot be read changes nothing: what runs goes on.

One thread, the supervisor's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import UpdateError
from vedette_edge.ota.evidence import (
    Evidence,
    concerns,
    counted,
    may_start,
    read_evidence,
    with_failure,
    write_evidence,
)
from vedette_edge.ota.layout import ModelPlace, evidence_path
from vedette_edge.ota.record import Installed, Record, read_record

__all__ = ["Course", "Follower", "course"]

_log = logging.getLogger(__name__)

_RETRY = 60.0  # seconds until a start that could not be counted is tried again


@dataclass(frozen=True, slots=True)
class Course:
    """What the agent does with a model now.

    Attributes:
        alarms: what runs; None: there is nothing.
        tries: the candidate, in its trial or its shadow; None where none is started.
        evidence: to be on the disk before any of it is done; None: nothing new.
    """

    alarms: Installed | None
    tries: Installed | None = None
    evidence: Evidence | None = None


def course(record: Record, evidence: Evidence | None, now: float, *, started: bool, fallen: str) -> Course:
    """Return what to do.

    Args:
        record: of the updater.
        evidence: of this agent.
        now: Unix time.
        started: this process has started the candidate in this phase, and counted that.
        fallen: why the ledger passes over a variant of the candidate; "" where it does not.
    """
    candidate, committed = record.candidate, record.committed
    if candidate is None or record.state not in ("shadow", "trial"):
        return Course(committed)
    mine = evidence if evidence is not None and concerns(evidence, record) else None
    trying = Course(candidate if record.state == "trial" else committed, candidate)
    if started:
        return Course(committed) if mine is not None and mine.failed else trying
    if may_start(record, evidence) and not fallen:
        return Course(trying.alarms, candidate, counted(record, evidence, now))
    if mine is not None and mine.failed:
        return Course(committed)
    why = fallen or f"the agent was started {record.tries} times with it, and each time it ended"
    return Course(committed, None, with_failure(record, evidence, why, now))


class Follower:
    """Follows the record of one model."""

    def __init__(
        self,
        place: ModelPlace,
        state_dir: Path,
        fallen: Callable[[str], str] = lambda _: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the record, and count the start of its candidate, if it has one to be tried.

        Args:
            place: of the model in the store.
            state_dir: the agent's, where its evidence lies.
            fallen: tells, for a bundle's digest, why the ledger passes over a variant of it; else "".
            clock: Unix time.

        Raises:
            UpdateError: when there is a record that cannot be read.
        """
        self.place = place
        self.record: Record | None = None
        self.evidence: Evidence | None = None
        self.course = Course(None)
        self._path = evidence_path(state_dir, place.directory.name)
        self._fallen = fallen
        self._clock = clock
        self._started: tuple[str, str] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._trouble = ""
        self._retry = float("inf")
        self._unwritten: Evidence | None = None
        damaged = self._read_evidence()
        self._seen = self._stamp()
        try:
            self.record = read_record(place.record)
        except FileNotFoundError:
            return
        self._decide(damaged)

    @property
    def name(self) -> str:
        """The model's name in the store."""
        return self.place.directory.name

    def look(self) -> bool:
        """Read the record again where it has changed; return whether it has, or a start is tried again."""
        stamp = self._stamp()
        if stamp == self._seen:
            self._write_again()
            if self._clock() < self._retry:
                return False
        else:
            self._seen = stamp
            try:
                record = read_record(self.place.record)
            except (FileNotFoundError, UpdateError) as error:
                self._complain(str(error) if isinstance(error, UpdateError) else "the record is gone")
                return False
            self._trouble = ""
            if record == self.record:
                return False
            self.record = record
        self._decide()
        return True

    def fail(self, reason: str) -> bool:
        """Mark the candidate that is being tried as failed; return whether there was one."""
        if self.record is None or self.course.tries is None:
            return False
        _log.error("update of model '%s': the candidate has failed: %s", self.name, reason)
        self.keep(with_failure(self.record, self.evidence, reason, self._clock()))
        self.course = Course(self.record.committed)
        return True

    def keep(self, evidence: Evidence) -> None:
        """Write evidence. Where the disk refuses it is kept in memory, and tried again at the next look."""
        self.evidence = self._unwritten = evidence
        self._write_again()

    def _decide(self, damaged: str = "") -> None:
        record = self.record
        assert record is not None
        candidate = record.candidate
        tried = candidate is not None and record.state in ("shadow", "trial")
        this = (candidate.digest, record.state) if candidate is not None and tried else None
        fallen = damaged or (self._fallen(candidate.digest) if candidate is not None and tried else "")
        found = course(
            record,
            self.evidence,
            self._clock(),
            started=this is not None and this == self._started,
            fallen=fallen,
        )
        self._retry = float("inf")
        if found.evidence is not None and found.tries is not None:
            found = self._count(found, found.evidence, record)
        elif found.evidence is not None:
            _log.error("update of model '%s': the candidate has failed: %s", self.name, found.evidence.failed)
            self.keep(found.evidence)
        self._started = this if found.tries is not None else None
        self.course = Course(found.alarms, found.tries)

    def _count(self, found: Course, evidence: Evidence, record: Record) -> Course:
        try:
            write_evidence(self._path, evidence)
        except UpdateError as error:
            self._complain(f"{error}; so the candidate is not started")
            self._retry = self._clock() + _RETRY
            return Course(record.committed)
        self.evidence, self._unwritten = evidence, None
        return found

    def _read_evidence(self) -> str:
        """Read what was written before; return what is wrong with it: then its tries may be used up."""
        try:
            self.evidence = read_evidence(self._path)
        except UpdateError as error:
            return str(error)
        return ""

    def _write_again(self) -> None:
        if self._unwritten is None:
            return
        try:
            write_evidence(self._path, self._unwritten)
        except UpdateError as error:
            self._complain(str(error))
            return
        self._unwritten = None

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.error("update of model '%s': %s; what runs goes on", self.name, trouble)
        self._trouble = trouble

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.place.record.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
