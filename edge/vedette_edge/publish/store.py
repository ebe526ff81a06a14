"""The table of undelivered messages in SQLite: on disk, or in memory while the disk refuses.

The rules, in order:

1. `put` is one transaction, on disk flushed before it returns (WAL, `synchronous=FULL`).
2. Numbers rise and are never used again. What has a number up to that of the last `rewind(late=True)` is
   late: it comes out with `hist` true, does not count for latency, and is not retained by the broker, where
   it could replace something newer.
3. Above `max_bytes` of payload the least important and oldest go (see `worth`). What went is counted in a
   record of the gap in the same transaction, so the account is exact even after a kill. What is under way to
   the broker stays.

Not thread-safe, and errors are SQLite's own: `Outbox` sees to both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vedette_edge.publish.base import JSON, Message
from vedette_edge.publish.gaps import gaps_of, merged
from vedette_edge.publish.left_open import ends_of, note_events
from vedette_edge.publish.store_file import open_store
from vedette_edge.publish.worth import DROPPED_IN_ORDER, RANKS, Worth, worth_of
from vedette_edge.topics import Gap

__all__ = ["Store", "Stored"]

_MESSAGE = "topic, payload, qos, retain, content_type, properties, captured"
_WORTH = "rank, kind, boot, seq, time"
_INSERT = f"INSERT INTO outbox ({_MESSAGE}, {_WORTH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OF_RANK = "SELECT id, kind, boot, seq, time FROM outbox WHERE rank = ? AND id > ? ORDER BY id LIMIT ?"
_AT_A_TIME = 256  # rows looked at to find what goes
_HIGHEST = 2**63 - 1  # of SQLite's numbers


@dataclass(frozen=True, slots=True)
class Stored:
    """A message with its number in the store."""

    id: int
    message: Message


class Store:
    """Messages in the order in which they came."""

    def __init__(self, path: Path | None, *, max_bytes: int, gap_topic: str) -> None:
        """Open the store.

        Args:
            path: its file; None: in memory.
            max_bytes: bound on the payloads.
            gap_topic: where records of gaps are sent.

        Raises:
            sqlite3.Error: when the file cannot be used.
            OSError: when its directory cannot be made.
        """
        self._database = open_store(path)
        self._max_bytes = max_bytes
        self._gap_topic = gap_topic
        self._taken: set[int] = set()
        self._last_late = self._cursor_late = self._cursor_live = 0
        self._bytes = self._count = 0
        self._recount()
        self.rewind(late=True)

    def put(self, messages: Sequence[Message]) -> None:
        """Keep all of `messages`, in order, or none."""
        worths = self._worths(messages)
        rows = [_row(message, worth) for message, worth in zip(messages, worths, strict=True)]
        try:
            with self._database:
                self._database.executemany(_INSERT, rows)
                note_events(self._database, messages, worths)
                self._bytes += sum(len(message.payload) for message in messages)
                self._count += len(messages)
                self._make_room()
        except BaseException:
            self._recount()
            raise

    def end_left_open(self, boot: str, next_seq: Callable[[], int]) -> None:
        """Keep an `end` for each event that an earlier run could not end; see `left_open.ends_of`."""
        self.put(ends_of(self._database, boot, next_seq))

    def take(self, limit: int, *, late: bool) -> list[Stored]:
        """Return the oldest messages that were not taken since the last `rewind`, at most `limit`.

        Args:
            limit: how many at most.
            late: those that are late, or those that are not.
        """
        after, until = (self._cursor_late, self._last_late) if late else (self._first_live, _HIGHEST)
        found = self._between(after, until, limit)
        if found:
            self._taken.update(one.id for one in found)
            if late:
                self._cursor_late = found[-1].id
            else:
                self._cursor_live = found[-1].id
        return found

    def untaken(self) -> list[Stored]:
        """Return all that is not under way; it can still be taken."""
        return [one for one in self._between(0, _HIGHEST, _HIGHEST) if one.id not in self._taken]

    def rewind(self, *, late: bool) -> None:
        """Have everything taken again; with `late`, what there is now is late."""
        if late:
            self._last_late = int(self._scalar("SELECT coalesce(max(id), 0) FROM outbox"))
        self._cursor_late = self._cursor_live = 0
        self._taken.clear()

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Forget messages that were delivered."""
        self._forget(ids)
        self._taken.difference_update(ids)

    def probe(self) -> None:
        """Write something, to see whether the disk takes it."""
        with self._database:
            self._database.execute("CREATE TABLE IF NOT EXISTS probe (value)")
            self._database.execute("DROP TABLE probe")

    def __len__(self) -> int:
        """Return how many messages wait."""
        return self._count

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def _first_live(self) -> int:
        """The number after which what is not late begins."""
        return max(self._cursor_live, self._last_late)

    def _between(self, after: int, until: int, limit: int) -> list[Stored]:
        query = f"SELECT id, {_MESSAGE} FROM outbox WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        return [self._stored(row) for row in self._database.execute(query, (after, until, limit))]

    def _worths(self, messages: Sequence[Message]) -> list[Worth]:
        return [
            worth if message.topic != self._gap_topic else _gap_of(Gap.model_validate_json(message.payload))
            for message, worth in zip(messages, worth_of(messages), strict=True)
        ]

    def _forget(self, ids: Sequence[int]) -> None:
        try:
            with self._database:
                for number in ids:
                    self._delete(number)
        except BaseException:
            self._recount()
            raise

    def _delete(self, number: int) -> None:
        size = self._database.execute("SELECT length(payload) FROM outbox WHERE id = ?", (number,)).fetchone()
        if size is not None:
            self._database.execute("DELETE FROM outbox WHERE id = ?", (number,))
            self._bytes -= size[0]
            self._count -= 1

    def _make_room(self) -> None:
        dropped: list[Worth] = []
        for rank in DROPPED_IN_ORDER:
            after = 0
            while self._bytes > self._max_bytes:
                rows = self._database.execute(_OF_RANK, (rank, after, _AT_A_TIME)).fetchall()
                if not rows:
                    break
                after = rows[-1][0]
                dropped += self._drop(rows)
        if dropped:
            for gap in gaps_of(dropped, time.time()).values():
                self._note(gap)

    def _drop(self, rows: Sequence[tuple[Any, ...]]) -> list[Worth]:
        dropped = []
        for number, *worth in rows:
            if self._bytes <= self._max_bytes:
                break
            if number not in self._taken:
                self._delete(number)
                dropped.append(Worth(*worth))
        return dropped

    def _note(self, gap: Gap) -> None:
        """Add to the record that still waits, or begin one."""
        query = "SELECT id, payload FROM outbox WHERE rank = ? AND boot = ? ORDER BY id DESC"
        for number, waiting in self._database.execute(query, (RANKS["gap"], gap.boot)).fetchall():
            if number not in self._taken:
                self._delete(number)
                gap = merged(Gap.model_validate_json(waiting), gap)
                break
        payload = gap.model_dump_json().encode()
        self._database.execute(_INSERT, _row(Message(self._gap_topic, payload), _gap_of(gap)))
        self._bytes += len(payload)
        self._count += 1

    def _recount(self) -> None:
        row = self._database.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM outbox")
        self._count, self._bytes = row.fetchone()

    def _stored(self, row: tuple[Any, ...]) -> Stored:
        number, topic, payload, qos, retain, content_type, properties, captured = row
        pairs = tuple((name, value) for name, value in json.loads(properties))
        message = Message(topic, payload, qos, bool(retain), content_type, pairs, captured)
        return Stored(number, message if number > self._last_late else _late(message))

    def _scalar(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]


def _row(message: Message, worth: Worth) -> tuple[object, ...]:
    return (
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        message.content_type,
        json.dumps(message.properties),
        message.captured,
        worth.rank,
        worth.kind,
        worth.boot,
        worth.seq,
        worth.time,
    )


def _gap_of(gap: Gap) -> Worth:
    return Worth("gap", gap.boot, gap.to_seq or 0, gap.ts)


def _late(message: Message) -> Message:
    # `captured` counts from the boot of the machine that wrote it: it says nothing to this process.
    payload = message.payload
    if message.content_type == JSON:
        content = json.loads(payload)
        if "hist" in content:
            payload = json.dumps(content | {"hist": True}, separators=(",", ":")).encode()
    return replace(message, payload=payload, retain=False, captured=None)
