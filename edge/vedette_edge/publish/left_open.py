"""The events that go on, as the store knows them: what a killed agent could not end, the next one does."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from vedette_edge.publish.base import Message
from vedette_edge.publish.worth import Worth

__all__ = ["SCHEMA", "ends_of", "note_events"]

SCHEMA = """
CREATE TABLE open_events (event TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL)
"""


def note_events(database: sqlite3.Connection, messages: Sequence[Message], worths: Sequence[Worth]) -> None:
    """Remember the last word on each event that goes on; forget those that end.

    Args:
        database: of the store, in the transaction that keeps `messages`.
        messages: what is kept.
        worths: what each is.
    """
    for message, worth in zip(messages, worths, strict=True):
        if not worth.event:
            continue
        if worth.kind == "end":
            database.execute("DELETE FROM open_events WHERE event = ?", (worth.event,))
        else:
            row = (worth.event, message.topic, message.payload)
            database.execute("INSERT OR REPLACE INTO open_events VALUES (?, ?, ?)", row)


def ends_of(database: sqlite3.Connection, boot: str, next_seq: Callable[[], int]) -> list[Message]:
    """Return an `end` for each event that goes on: it ended where it was last seen.

    Args:
        database: of the store.
        boot: names this run of the agent.
        next_seq: gives the next number of its events.
    """
    rows = database.execute("SELECT topic, payload FROM open_events ORDER BY event").fetchall()
    return [Message(topic, _ended(payload, boot, next_seq())) for topic, payload in rows]


def _ended(payload: bytes, boot: str, seq: int) -> bytes:
    content = json.loads(payload)
    end = {"end_time": content.get("frame_time"), "end_position": content.get("position")}
    return json.dumps(content | end | {"type": "end", "boot": boot, "seq": seq}).encode()
