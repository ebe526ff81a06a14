"""What a capture process is told, and what it says. One datagram each; slot numbers go back as single bytes.

The agent trusts none of it: a decoder that a camera has subverted can at most send wrong pictures.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from vedette_edge.errors import VideoError

__all__ = ["LONGEST", "Alive", "Ended", "Filled", "Job", "Message", "Note", "decode", "encode"]

LONGEST = 131_072
"""Bytes of the longest datagram; a job with many masks is the only one that comes near."""

_MOST_TEXT = 1000  # characters
_FILLED = struct.Struct("!IIIdQQ")
_SEEN = struct.Struct("!Q")


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """What a capture process shall do.

    Attributes:
        kind: of source, a key of `SOURCES`.
        options: the source's section of the configuration, as JSON values.
        origin: `time.monotonic()` at which the camera's time is zero.
        wait: when all slots are full, wait (True) or drop the frame (False).
        max_side: pixels of the longer side, to which larger frames are shrunk.
        masks: polygons to blacken, as corners (x, y) in fractions of the picture.
        slots: into how many the shared memory is divided.
        rates: of which frames per second somebody takes samples; the others are not handed over. Without
            one, all are.
    """

    kind: str
    options: Mapping[str, Any]
    origin: float
    wait: bool
    max_side: int
    masks: Sequence[Sequence[Sequence[float]]]
    slots: int
    rates: Sequence[float] = ()

    def to_bytes(self) -> bytes:
        """Return the job as a datagram."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Read a job that `to_bytes` wrote."""
        return cls(**json.loads(data))


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """A slot holds the next frame and belongs to the agent until it is given back.

    Attributes:
        slot: which.
        height: pixels.
        width: pixels.
        time: of the frame, seconds since the job's origin.
        seen: frames that the camera has given so far, this one and those that nobody wants among them.
        dropped: frames of those for which there was no slot.
    """

    slot: int
    height: int
    width: int
    time: float
    seen: int
    dropped: int


@dataclasses.dataclass(frozen=True, slots=True)
class Alive:
    """No frame is due yet; the process waits on purpose."""


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """Something for the log."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The last message: the stream ended, or failed for a reason, after `seen` frames."""

    reason: str = ""
    seen: int = 0


Message: TypeAlias = Filled | Alive | Note | Ended


def encode(message: Message) -> bytes:
    """Return a message as a datagram."""
    if isinstance(message, Filled):
        return b"F" + _FILLED.pack(*dataclasses.astuple(message))
    if isinstance(message, Note):
        return b"N" + message.text[:_MOST_TEXT].encode(errors="replace")
    if isinstance(message, Ended):
        return b"E" + _SEEN.pack(message.seen) + message.reason[:_MOST_TEXT].encode(errors="replace")
    return b"A"


def decode(data: bytes) -> Message:
    """Read a datagram of a capture process.

    Raises:
        VideoError: when it is none.
    """
    kind, rest = data[:1], data[1:]
    if kind == b"F" and len(rest) == _FILLED.size:
        filled = Filled(*_FILLED.unpack(rest))
        if math.isfinite(filled.time):
            return filled
    if kind == b"N":
        return Note(_text(rest))
    if kind == b"E" and len(rest) >= _SEEN.size:
        return Ended(_text(rest[_SEEN.size :]), *_SEEN.unpack_from(rest))
    if data == b"A":
        return Alive()
    raise VideoError(f"the capture process sent {len(data)} byte(s) that are no message; it is not trusted")


def _text(data: bytes) -> str:
    """Return text without what would move a terminal's cursor: some of it is a camera's own."""
    text = data.decode(errors="replace")[:_MOST_TEXT]
    return "".join(character if character.isprintable() else "?" for character in text)
