"""The outbox: events a second that are safe on disk, from many threads and from one, and drained again."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from paired import compare

from vedette_edge.publish.base import Message
from vedette_edge.publish.outbox import Outbox

THREADS, EACH, BATCH = 32, 250, 20
COUNT = THREADS * EACH


def run() -> Iterator[str]:
    """Yield one line a comparison, then the rates."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder) / "outbox.db", gap_topic="bench/gap")
        try:
            comparison = compare(
                f"{COUNT} events kept safe: from {THREADS} threads against one by one",
                lambda: _from_threads(outbox),
                lambda: _one_by_one(outbox),
                pairs=3,
            )
            yield str(comparison)
            yield _rate(f"{THREADS} threads, each event flushed", lambda: _from_threads(outbox))
            yield _rate(f"one thread, {BATCH} events a flush", lambda: _in_batches(outbox))
            yield _rate("drained, 20 under way", lambda: _drain(outbox))
        finally:
            outbox.close()


def _event(number: int) -> Message:
    content = {
        "type": "new",
        "boot": "bench",
        "seq": number,
        "frame_time": 0.0,
        "hist": False,
        "pad": "x" * 600,
    }
    return Message("bench/events", json.dumps(content).encode())


EVENTS = [_event(number) for number in range(COUNT)]


def _one_by_one(outbox: Outbox) -> None:
    for event in EVENTS:
        outbox.put([event])


def _in_batches(outbox: Outbox) -> None:
    for start in range(0, COUNT, BATCH):
        outbox.put(EVENTS[start : start + BATCH])


def _from_threads(outbox: Outbox) -> None:
    def write(events: list[Message]) -> None:
        for event in events:
            outbox.put([event])

    threads = [threading.Thread(target=write, args=(EVENTS[n::THREADS],)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drain(outbox: Outbox) -> None:
    for _ in range(COUNT // 20):
        outbox.acknowledge([stored.id for stored in outbox.take(20, late=False)])


def _rate(what: str, act: Callable[[], None]) -> str:
    began = time.perf_counter()
    act()
    return f"{COUNT / (time.perf_counter() - began):8.0f} events/s: {what}"
