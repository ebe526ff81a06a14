"""The store of undelivered messages: one SQLite file that survives kill -9 and power cuts.

The rules, in order:

1. A message is committed to the disk before anything of it goes to the wire (`put`).
2. It leaves the store only when the broker has acknowledged it (`acknowledge`).
3. Order is kept. Messages that were in the file when it was opened are marked as late: their payload's
   `hist` becomes true, and they no longer count for latency.
4. A damaged file is set aside under a new name, and an empty one is started: a device must go on watching.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vedette_edge.errors import OutboxError
from vedette_edge.publish.base import JSON, Message

__all__ = ["Outbox", "Stored"]

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    captured REAL
)
"""
_COLUMNS = "topic, payload, qos, retain, content_type, properties, captured"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message with its number in the store; numbers rise and are never used again."""

    id: int
    message: Message


class Outbox:
    """A first-in, first-out store of messages on disk. Its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the store at `path`, or make it.

        Raises:
            OutboxError: when the directory cannot be written, or another agent has the store open.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._mapped_errors():
            try:
                self._database = _open(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                _set_aside(path, error)
                self._database = _open(path)
            self._last_late = int(self._scalar("SELECT coalesce(max(id), 0) FROM outbox"))

    def put(self, messages: Sequence[Message]) -> None:
        """Commit all of `messages`, in order, to the disk.

        Raises:
            OutboxError: when the disk is full or fails; then none of them is kept.
        """
        with self._lock, self._mapped_errors(), self._database:
            self._database.executemany(
                f"INSERT INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row_of, messages)
            )

    def peek(self, limit: int, after: int = 0) -> list[Stored]:
        """Return the oldest messages with a number above `after`, at most `limit`.

        Raises:
            OutboxError: when the disk fails.
        """
        with self._lock, self._mapped_errors():
            rows = self._database.execute(
                f"SELECT id, {_COLUMNS} FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ).fetchall()
        return [self._stored(row) for row in rows]

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Forget messages that were delivered.

        Raises:
            OutboxError: when the disk fails; they are then sent again.
        """
        with self._lock, self._mapped_errors(), self._database:
            self._database.executemany("DELETE FROM outbox WHERE id = ?", [(one,) for one in ids])

    def __len__(self) -> int:
        """Return how many messages wait."""
        with self._lock, self._mapped_errors():
            return int(self._scalar("SELECT count(*) FROM outbox"))

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        with self._lock:
            self._database.close()

    def _stored(self, row: tuple[Any, ...]) -> Stored:
        number, topic, payload, qos, retain, content_type, properties, captured = row
        pairs = tuple((name, value) for name, value in json.loads(properties))
        message = Message(topic, payload, qos, bool(retain), content_type, pairs, captured)
        return Stored(number, message if number > self._last_late else _late(message))

    def _scalar(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]

    @contextlib.contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(
                f"{self._path}: cannot use the store of undelivered messages ({error}); check that the "
                "directory is writable, the disk is not full, and no other agent runs with it"
            ) from error


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        # Exclusive: two agents with one store would send everything twice.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        with database:
            database.execute(_SCHEMA)
        found = database.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        database.execute(f"SELECT id, {_COLUMNS} FROM outbox LIMIT 1")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _set_aside(path: Path, error: sqlite3.Error) -> None:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(aside)
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    _log.warning("%s is damaged (%s): set aside as %s, an empty one is started", path, error, aside.name)


def _row_of(message: Message) -> tuple[object, ...]:
    return (
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        message.content_type,
        json.dumps(message.properties),
        message.captured,
    )


def _late(message: Message) -> Message:
    # `captured` counts from the boot of the machine that wrote it: it says nothing to this process.
    payload = message.payload
    if message.content_type == JSON:
        content = json.loads(payload)
        if "hist" in content:
            payload = json.dumps(content | {"hist": True}, separators=(",", ":")).encode()
    return replace(message, payload=payload, captured=None)
