"""Keeps freed memory in the process, so that CPU training does not pay for page faults.

glibc returns each large tensor to the kernel when it is freed and asks for it again in the next layer;
the kernel then clears every page anew. On virtual machines that takes longer than the arithmetic: a
training step of MobileNetV2-3D on 2 cores went from 4.4 s to 1.3 s with the setting below
(docs/benchmarks.md). The price is that the process keeps its peak memory until it ends.
"""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

# Parameters of mallopt(3), from <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_NEVER = -1


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed memory instead of returning it; return whether it took the settings.

    Does nothing and returns False where the C library is not glibc (musl, macOS, Windows).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # One arena, because the others cannot grow without mmap.
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_ARENA_MAX, 1))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
