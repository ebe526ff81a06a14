"""Takes the parts out of an HTTP multipart stream, which is how cameras send MJPEG. Pure.

It is lenient where cameras are sloppy (a boundary given with its dashes, missing lengths, bare line
feeds) and strict where memory is at stake: headers and parts have a longest length.
"""

from __future__ import annotations

import re

from vedette_edge.errors import VideoError

__all__ = ["Multipart", "boundary_of"]

_MOST_HEADERS = 8192  # bytes
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a `Content-Type` names, with its dashes.

    Raises:
        VideoError: when it is no multipart stream, or names none.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        raise VideoError(f"not a stream of pictures (multipart/x-mixed-replace), but {content_type[:100]!r}")
    # Some cameras name the boundary with the dashes that belong before it.
    return b"--" + (found[1] or found[2]).removeprefix("--").encode("latin-1", "replace")


class Multipart:
    """Cuts a stream into the bodies of its parts."""

    def __init__(self, boundary: bytes, most: int) -> None:
        """Begin at the start of a stream.

        Args:
            boundary: with its dashes, as it stands in the stream.
            most: bytes of the longest part.
        """
        self._boundary = boundary
        self._most = most
        self._buffer = bytearray()
        self._length: int | None = None
        self._in_body = False
        self._searched = 0

    def push(self, data: bytes) -> list[bytes]:
        """Take more of the stream; return the parts that are complete with it.

        Raises:
            VideoError: when a part or its headers are longer than allowed.
        """
        self._buffer += data
        parts = []
        while (part := self._step()) is not None:
            if part:
                parts.append(part)
        return parts

    def _step(self) -> bytes | None:
        """Return the next body, b"" after a step that gave none, or None when more data are needed."""
        if not self._in_body:
            return b"" if self._skip_headers() else None
        return self._body_by_length(self._length) if self._length is not None else self._body_by_boundary()

    def _skip_headers(self) -> bool:
        start = self._buffer.find(self._boundary)
        blank = _BLANK_LINE.search(self._buffer, start + len(self._boundary)) if start >= 0 else None
        if blank is None:
            if len(self._buffer) > _MOST_HEADERS:
                raise VideoError(f"no boundary and headers of a picture within {_MOST_HEADERS} bytes")
            return False
        headers = bytes(self._buffer[start : blank.end()])
        if len(headers) > _MOST_HEADERS:
            raise VideoError(f"headers of a picture of more than {_MOST_HEADERS} bytes")
        stated = _LENGTH.search(headers)
        self._length = int(stated[1]) if stated else None
        if self._length is not None and self._length > self._most:
            raise VideoError(f"a picture of {self._length} bytes; at most {self._most} are taken")
        del self._buffer[: blank.end()]
        self._in_body, self._searched = True, 0
        return True

    def _body_by_length(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        return self._cut(length)

    def _body_by_boundary(self) -> bytes | None:
        # What was searched already is not searched again, but for a boundary that began in it.
        end = self._buffer.find(self._boundary, max(0, self._searched - len(self._boundary)))
        if end > self._most or (end < 0 and len(self._buffer) > self._most):
            raise VideoError(f"a picture of more than {self._most} bytes, without an end")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        return self._cut(end).removesuffix(b"\n").removesuffix(b"\r")

    def _cut(self, length: int) -> bytes:
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._in_body = False
        return body
