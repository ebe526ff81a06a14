"""The memory that a capture process shares with the agent: slots, each room for one frame.

It is an anonymous file (memfd): it has no name to clean up after, and is gone with the last process that
maps it, however that ends. It is sealed, so no side can shrink it under the other. Only pages that are
written take memory, so generous slots cost nothing.

Who may use a slot when is agreed by messages, elsewhere; the memory itself knows no locks.
"""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np

from vedette_edge.types import Image

__all__ = ["Ring", "make_memory"]

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def make_memory(size: int) -> int:
    """Return the descriptor of `size` bytes of shared memory, which the caller must close.

    Raises:
        OSError: when the system has no memory or no descriptor left.
    """
    descriptor = os.memfd_create("vedette-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Ring:
    """Shared memory, mapped, as slots of equal size."""

    def __init__(self, descriptor: int, slots: int, *, write: bool) -> None:
        """Map the memory behind `descriptor`, which may be closed afterwards.

        Args:
            descriptor: from `make_memory`.
            slots: into how many the memory is divided.
            write: whether this side fills slots; the other only reads.
        """
        self._map = mmap.mmap(
            descriptor, 0, prot=mmap.PROT_READ | mmap.PROT_WRITE if write else mmap.PROT_READ
        )
        self._slot_bytes = len(self._map) // slots
        self.slots = slots

    def view(self, slot: int, height: int, width: int) -> Image:
        """Return a slot as a picture (height, width, 3) uint8 BGR that lies in the shared memory.

        Raises:
            ValueError: when there is no such slot, or it is too small for such a picture.
        """
        size = height * width * 3
        if not (0 <= slot < self.slots and height > 0 and width > 0 and size <= self._slot_bytes):
            raise ValueError(
                f"slot {slot} of {self.slots}, {self._slot_bytes} bytes each: no room for {width}x{height}"
            )
        flat = np.frombuffer(self._map, np.uint8, size, offset=slot * self._slot_bytes)
        return flat.reshape(height, width, 3)
