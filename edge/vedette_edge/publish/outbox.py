"""The store of undelivered messages: one SQLite file that survives kill -9 and power cuts.

The rules, in order:

1. A message is committed to the disk before anything of it goes to the wire (`put`).
2. It leaves the store only when the broker has acknowledged it (`acknowledge`).
3. What is new goes before what waited through an absence (`take`); within each, order is kept.
4. When it is full, the least important and oldest goes, and a record of the gap tells what (see `store`).
5. An event that a killed agent left open is ended by the next one (`end_left_open`).
6. While the disk refuses, messages are kept in memory, bounded in the same way, and are sent from there.
   That is told once in the log and by `trouble`; the disk is tried again every five seconds. What the
   memory holds is lost only if the process is killed meanwhile.
7. A damaged file is set aside under a new name, and an empty one is started.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from vedette_edge.errors import OutboxError
from vedette_edge.publish.base import Message
from vedette_edge.publish.group_commit import GroupCommit
from vedette_edge.publish.store import Store, Stored

__all__ = ["Outbox", "Stored"]

_log = logging.getLogger(__name__)

_RETRY = 5.0  # seconds
# The fault of a caller, or of nobody's disk: never a reason to fall back to memory.
_DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class Outbox:
    """A bounded store of messages on disk. Its methods may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        gap_topic: str,
        max_bytes: int = 268_435_456,
        spare_bytes: int = 8_388_608,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the store at `path`, or make it. What is in it is late.

        Args:
            path: the file.
            gap_topic: where records of what was dropped are sent.
            max_bytes: bound on the payloads on disk.
            spare_bytes: bound on the payloads in memory while the disk refuses.
            now: seconds of a clock that only rises.

        Raises:
            OutboxError: when the directory cannot be written, or another agent has the store open.
        """
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        with self._mapped_errors():
            self._disk = Store(path, max_bytes=max_bytes, gap_topic=gap_topic)
        self._spare = Store(None, max_bytes=spare_bytes, gap_topic=gap_topic)
        self._commits: GroupCommit[Sequence[Message]] = GroupCommit(self._write)
        self._delivered: set[int] = set()
        self._retry_at = 0.0
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the disk; "" while nothing is."""
        return self._trouble

    def put(self, messages: Sequence[Message]) -> None:
        """Commit all of `messages`, in order, to the disk; while it refuses, keep them in memory.

        Raises:
            OutboxError: when a message cannot be stored, or the store is closed; then none of them is kept.
        """
        with self._mapped_errors():
            self._commits.put(messages)

    def end_left_open(self, boot: str, next_seq: Callable[[], int]) -> None:
        """End the events that an earlier run could not end; call it before the first `put`.

        Each gets an `end` at the time at which it was last seen, which is late as it is. Where the disk
        refuses that, the run after this one does it.

        Args:
            boot: names this run of the agent.
            next_seq: gives the next number of its events.

        Raises:
            OutboxError: when the store is closed.
        """
        with self._lock, self._mapped_errors(), self._tolerated():
            self._disk.end_left_open(boot, next_seq)
            self._disk.rewind(late=True)

    def take(self, limit: int, *, late: bool) -> list[Stored]:
        """Return the oldest messages that were not taken since the last `rewind`, at most `limit`.

        Args:
            limit: how many at most.
            late: those that waited through an absence of the broker, or those that came since.

        Raises:
            OutboxError: when the store is closed.
        """
        with self._lock, self._mapped_errors():
            found: list[Stored] = []
            with self._tolerated():
                found = [one for one in self._disk.take(limit, late=late) if one.id not in self._delivered]
            spare = self._spare.take(limit - len(found), late=late)
            return [*found, *(replace(one, id=-one.id) for one in spare)]

    def rewind(self, *, late: bool) -> None:
        """Have everything that was not acknowledged taken again; with `late`, what there is now is late.

        Raises:
            OutboxError: when the store is closed.
        """
        with self._lock, self._mapped_errors():
            for store in (self._disk, self._spare):
                with self._tolerated():
                    store.rewind(late=late)

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Forget messages that were delivered; where the disk refuses that, it is tried again later.

        Raises:
            OutboxError: when the store is closed.
        """
        with self._lock, self._mapped_errors():
            self._spare.acknowledge([-number for number in ids if number < 0])
            self._delivered.update(number for number in ids if number > 0)
            if not self._trouble:
                with self._tolerated():
                    self._forget_delivered()

    def tend(self) -> None:
        """Try the disk again, if it refused and the time has come. Call it about once a second.

        Raises:
            OutboxError: when the store is closed.
        """
        with self._lock, self._mapped_errors():
            if self._trouble and self._now() >= self._retry_at:
                with self._tolerated():
                    self._disk.probe()
                    self._return_to_disk()

    def __len__(self) -> int:
        """Return how many messages wait."""
        with self._lock:
            return len(self._disk) - len(self._delivered) + len(self._spare)

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        with self._lock:
            if self._trouble:
                self._spare.rewind(late=False)
                with self._tolerated():
                    self._return_to_disk()
            if self._trouble and len(self._spare):
                _log.error(
                    "%s: %d message(s) could not be written and are lost", self._path, len(self._spare)
                )
            self._disk.close()
            self._spare.close()

    def _write(self, batches: list[Sequence[Message]]) -> None:
        messages = list(chain.from_iterable(batches))
        with self._lock:
            if not self._trouble:
                with self._tolerated():
                    self._disk.put(messages)
                    return
            self._spare.put(messages)

    def _return_to_disk(self) -> None:
        """Move to the disk what the memory holds and is not under way."""
        waiting = self._spare.untaken()
        self._disk.put([one.message for one in waiting])
        self._spare.acknowledge([one.id for one in waiting])
        self._forget_delivered()
        self._trouble = ""
        _log.info("%s: the disk takes messages again, %d were kept in memory", self._path, len(waiting))

    def _forget_delivered(self) -> None:
        self._disk.acknowledge(list(self._delivered))
        self._delivered.clear()

    @contextlib.contextmanager
    def _tolerated(self) -> Iterator[None]:
        """Turn an error of the disk into `trouble`."""
        try:
            yield
        except _DEFECTS:
            raise
        except sqlite3.Error as error:
            if not self._trouble:
                _log.error("%s; messages are kept in memory meanwhile", self._sentence(error))
            if not self._trouble or self._now() >= self._retry_at:
                self._retry_at = self._now() + _RETRY
            self._trouble = self._sentence(error)

    @contextlib.contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(self._sentence(error)) from error

    def _sentence(self, error: Exception) -> str:
        return (
            f"{self._path}: cannot use the store of undelivered messages ({error}); check that the "
            "directory is writable, the disk is not full, and no other agent runs with it"
        )
