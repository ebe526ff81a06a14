"""The stack that signal handlers of a thread run on, kept from libraries that exchange it.

OpenVINO's CPU plugin sets one where it is first used, and takes it away with itself. Where two overlap
in time, it puts back the one that is gone, and the next signal kills the process (seen with OpenVINO 2026.4).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_signal_stack"]


class _Stack(ctypes.Structure):
    """`stack_t` of <signal.h> on Linux."""

    _fields_ = (("ss_sp", ctypes.c_void_p), ("ss_flags", ctypes.c_int), ("ss_size", ctypes.c_size_t))


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Leave the calling thread's signal stack as it was found, whatever happens inside."""
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
