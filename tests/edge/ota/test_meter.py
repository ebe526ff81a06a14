from __future__ import annotations

import io
import threading

import pytest

from vedette_edge.manifest import FileEntry
from vedette_edge.ota.meter import Meter, line_of

ENTRY = FileEntry(path="model.onnx", bytes=1000, sha256="0" * 64)


class Terminal(io.StringIO):
    """Tells when something stands on it."""

    def __init__(self, awaited):
        super().__init__()
        self.seen = threading.Event()
        self.awaited = awaited

    def write(self, text):
        if self.awaited in text:
            self.seen.set()
        return super().write(text)


def test_a_file_that_grows_is_shown_and_the_line_goes_in_the_end(tmp_path):
    terminal = Terminal(" 40 %")
    partial = tmp_path / "partial"
    with Meter(terminal, renew=0.001)("door", ENTRY, partial):
        partial.write_bytes(b"x" * 400)
        assert terminal.seen.wait(10)
    assert "door/model.onnx   40 %  400 B of 1.0 kB" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_terminal_that_has_gone_does_not_end_an_update(tmp_path):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    with Meter(Gone(), renew=0.001)("door", ENTRY, tmp_path / "partial"):
        pass


@pytest.mark.parametrize(
    ("there", "whole", "rate", "line"),
    [
        (0, 0, 0.0, "n    0 %  0 B of 0 B  0 B/s"),
        (5, 10, 999.0, "n   50 %  5 B of 10 B  999 B/s"),
        (2_500_000, 2_000_000, 1e10, "n  100 %  2.5 MB of 2.0 MB  10.0 GB/s"),
    ],
)
def test_amounts_are_short(there, whole, rate, line):
    assert line_of("n", there, whole, rate) == line
