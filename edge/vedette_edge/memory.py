"""Gives the system memory that is no longer used."""

from __future__ import annotations

import contextlib
import ctypes
import gc

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """Give back what was freed, now: call it when something large has gone, such as a model.

    Python frees what refers to itself in its own time, which lets several models pile up; glibc keeps what is
    freed for later, some 20 MiB a model.
    """
    gc.collect()
    with contextlib.suppress(AttributeError):  # other C libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)
