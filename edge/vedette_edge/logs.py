"""Logs on standard error: for people, or one JSON object a line, with fields such as `camera` and `event`.

A line that repeats is held back: of one place in the code about one camera come five at once, and then one in
ten minutes, which says how many were left out. So a camera that is down for a year does not fill the disk.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Literal, TextIO

__all__ = ["RepeatFilter", "configure_logs"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_AT_ONCE = 5
_INTERVAL = 600.0  # seconds
_KINDS = 1000  # of lines that are told apart


class RepeatFilter(logging.Filter):
    """Holds back lines that repeat; those that pass carry `left_out`, the number of those that did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a memory; `clock` gives seconds, rising."""
        super().__init__()
        self._clock = clock
        # A handler asks its filters before it takes its own lock.
        self._lock = threading.Lock()
        # By kind of line: how many may still come, when that was so, and how many were left out since.
        self._budgets: OrderedDict[tuple[str, int, str], tuple[float, float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line shall be written."""
        kind = (record.name, record.lineno, _subject(record))
        with self._lock:
            passes, left_out = self._spend(kind, self._clock())
        if passes and left_out:
            record.left_out = left_out
        return passes

    def _spend(self, kind: tuple[str, int, str], now: float) -> tuple[bool, int]:
        """Take one line off a kind's budget; return whether there was one, and how many were left out."""
        left, since, left_out = self._budgets.pop(kind, (float(_AT_ONCE), now, 0))
        left = min(_AT_ONCE, left + (now - since) / _INTERVAL)
        passes = left >= 1
        self._budgets[kind] = (left - 1, now, 0) if passes else (left, now, left_out + 1)
        if len(self._budgets) > _KINDS:
            self._budgets.popitem(last=False)
        return passes, left_out


def _subject(record: logging.LogRecord) -> str:
    """Return what a line is about: its event, else its camera, else the first text that it was given."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    texts = (getattr(record, "event", None), getattr(record, "camera", None), *arguments)
    return next((text for text in texts if isinstance(text, str)), "")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _HumanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        left_out = getattr(record, "left_out", 0)
        return super().format(record) + (f" ({left_out} more like it were left out)" if left_out else "")


def configure_logs(
    style: Literal["human", "json"], stream: TextIO | None = None, *, hold_back: bool = True
) -> None:
    """Send the agent's logs, from INFO, and those of libraries, from WARNING, to standard error.

    Args:
        style: `human` for a terminal, `json` for a log collector.
        stream: where to write instead.
        hold_back: lines that repeat, as whoever runs for years must.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    human = _HumanFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(_JsonFormatter() if style == "json" else human)
    if hold_back:
        handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("vedette_edge").setLevel(logging.INFO)
