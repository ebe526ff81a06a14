"""ULIDs: identifiers that sort by time. 48 bits of milliseconds and 80 random bits, in Crockford's base 32.

>>> ulid(1_469_918_176_385, bytes(10))
'01ARYZ6S410000000000000000'
"""

from __future__ import annotations

import os
import time

__all__ = ["new_ulid", "ulid"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26


def ulid(milliseconds: int, randomness: bytes) -> str:
    """Return the ULID of a moment.

    Args:
        milliseconds: Unix time, 0 to 2**48 - 1.
        randomness: 10 bytes.

    Raises:
        ValueError: when an argument is out of range.
    """
    if not 0 <= milliseconds < 1 << 48 or len(randomness) != 10:
        raise ValueError(
            f"a ULID takes 48 bits of time and 10 random bytes, got {milliseconds} and {len(randomness)}"
        )
    value = milliseconds << 80 | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def new_ulid() -> str:
    """Return the ULID of this moment."""
    return ulid(int(time.time() * 1000), os.urandom(10))
