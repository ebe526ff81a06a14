"""Shows on a terminal how a file grows: how much of it is there, and how fast it comes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from vedette_edge.manifest import FileEntry

__all__ = ["Meter", "line_of"]

_RENEW = 0.2  # seconds
_ERASE = "\r\x1b[K"
_UNITS = ("B", "kB", "MB", "GB")


class Meter:
    """One line of a terminal, renewed while a file is fetched."""

    def __init__(
        self, stream: TextIO, *, renew: float = _RENEW, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to a terminal.

        Args:
            stream: the terminal.
            renew: seconds between two lines.
            clock: seconds, rising.
        """
        self._stream = stream
        self._renew = renew
        self._clock = clock

    @contextlib.contextmanager
    def __call__(self, model: str, entry: FileEntry, partial: Path) -> Iterator[None]:
        """Show how `partial` grows to what `entry` says; the line is gone in the end."""
        done = threading.Event()
        thread = threading.Thread(target=self._show, args=(model, entry, partial, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._write(_ERASE)

    def _show(self, model: str, entry: FileEntry, partial: Path, done: threading.Event) -> None:
        began, there = self._clock(), _size(partial)
        while not done.wait(self._renew):
            now = _size(partial)
            rate = (now - there) / max(self._clock() - began, 1e-3)
            self._write(_ERASE + line_of(f"{model}/{entry.path}", now, entry.bytes, rate))

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that has gone must not end an update
            self._stream.write(text)
            self._stream.flush()


def line_of(name: str, there: int, whole: int, rate: float) -> str:
    """Return the state of a file in a line.

    >>> line_of("door/model.onnx", 1_500_000, 6_000_000, 250_000.0)
    'door/model.onnx   25 %  1.5 MB of 6.0 MB  250.0 kB/s'
    """
    share = min(100, 100 * there // max(whole, 1))
    return f"{name}  {share:3d} %  {_amount(there)} of {_amount(whole)}  {_amount(rate)}/s"


def _amount(count: float) -> str:
    steps = 0
    while count >= 1000 and steps < len(_UNITS) - 1:
        count, steps = count / 1000, steps + 1
    return f"{count:.1f} {_UNITS[steps]}" if steps else f"{count:.0f} B"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
