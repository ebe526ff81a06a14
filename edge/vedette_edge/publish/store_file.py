"""Opens the file of undelivered messages: makes it, brings an older one up to date, sets a wrong one aside.

A device must go on watching, so a file that is damaged, or that a newer agent wrote, is renamed, never
deleted, and an empty one is begun.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from vedette_edge.publish.base import Message
from vedette_edge.publish.left_open import SCHEMA as OPEN_EVENTS
from vedette_edge.publish.worth import worth_of

__all__ = ["open_store"]

_log = logging.getLogger(__name__)

_VERSION = 2
_SCHEMA = """
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    captured REAL,
    rank INTEGER NOT NULL,
    kind TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    time REAL NOT NULL
)
"""
_FIRST = {"id", "topic", "payload", "qos", "retain", "content_type", "properties", "captured"}
_SINCE = {
    "rank": "INTEGER NOT NULL DEFAULT 2",
    "kind": "TEXT NOT NULL DEFAULT 'other'",
    "boot": "TEXT NOT NULL DEFAULT ''",
    "seq": "INTEGER NOT NULL DEFAULT 0",
    "time": "REAL NOT NULL DEFAULT 0",
}


class _UnknownShape(sqlite3.DatabaseError):
    """A file that is none of ours, or of a later agent."""


def open_store(path: Path | None) -> sqlite3.Connection:
    """Return a connection to the store at `path`, or to a new one in memory.

    Raises:
        sqlite3.OperationalError: when the file cannot be written, or another agent has it open.
        OSError: when the directory cannot be made, or a wrong file cannot be renamed.
    """
    if path is None:
        return _open(":memory:")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(str(path))
    except _UnknownShape as error:
        _set_aside(path, "unknown", error)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        _set_aside(path, "damaged", error)
    return _open(str(path))


def _open(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=1.0, check_same_thread=False)
    try:
        # Exclusive: two agents with one store would send everything twice.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        found = database.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        with database:
            database.execute("BEGIN IMMEDIATE")
            _bring_up_to_date(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    columns = {row[1] for row in database.execute("PRAGMA table_info(outbox)")}
    if version == _VERSION and columns == _FIRST | set(_SINCE):
        return
    if version == 0 and not columns:
        database.execute(_SCHEMA)
    elif version == 0 and columns == _FIRST:
        _migrate(database)
    else:
        raise _UnknownShape(f"version {version}, columns {', '.join(sorted(columns)) or 'none'}")
    database.execute(OPEN_EVENTS)
    database.execute("CREATE INDEX outbox_rank ON outbox (rank, id)")
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _migrate(database: sqlite3.Connection) -> None:
    for name, form in _SINCE.items():
        database.execute(f"ALTER TABLE outbox ADD COLUMN {name} {form}")
    rows = database.execute("SELECT id, topic, payload, content_type FROM outbox ORDER BY id").fetchall()
    messages = [Message(topic, payload, content_type=kind) for _, topic, payload, kind in rows]
    database.executemany(
        "UPDATE outbox SET rank = ?, kind = ?, boot = ?, seq = ?, time = ? WHERE id = ?",
        [
            (worth.rank, worth.kind, worth.boot, worth.seq, worth.time, row[0])
            for row, worth in zip(rows, worth_of(messages), strict=True)
        ],
    )


def _set_aside(path: Path, why: str, error: sqlite3.Error) -> None:
    aside = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(aside)
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    _log.warning("%s is %s (%s): set aside as %s, an empty one is started", path, why, error, aside.name)
