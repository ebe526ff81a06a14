"""Writes WebM: a video of VP8 key frames, each with its own time. Browsers and FFmpeg play it.

A lossy WebP picture is one VP8 key frame in another wrapping [RFC 9649, section 2.5], so OpenCV's encoder of
pictures serves as one of video. Against `cv2.VideoWriter` this costs half the time, keeps the times of a
varying frame rate, and a failure of the disk is an `OSError` here rather than a line on standard error.

A file is a tree of elements: an identifier, a size, a payload [RFC 8794, RFC 9559]. The header has a fixed
length: it is written twice, at the end with what was unknown at the beginning.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["WebmWriter", "vp8_of"]

_TRACK = 1
_KEY_FRAME = 0x80
_CLUSTER = 1000  # milliseconds; players seek by clusters, and times within one have 16 bits
_INFO, _TRACKS, _CUES, _CLUSTERS = 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675


def vp8_of(webp: bytes) -> bytes:
    """Return the VP8 key frame of a lossy WebP picture.

    Raises:
        ValueError: when it holds none.
    """
    if webp[:4] != b"RIFF" or webp[8:12] != b"WEBP":
        raise ValueError("not a WebP picture")
    place = 12
    while place + 8 <= len(webp):
        name, size = struct.unpack_from("<4sI", webp, place)
        if name == b"VP8 ":
            return webp[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    raise ValueError("a WebP picture without a VP8 frame: it is lossless, or cut off")


class WebmWriter:
    """Writes one video; its frames are held back for up to a second, then written together."""

    def __init__(self, file: BinaryIO, width: int, height: int) -> None:
        """Begin a video of `width` x `height` pixels in an empty file that can seek.

        Raises:
            OSError: when the file cannot be written; so do the other methods.
        """
        self._file = file
        self._tracks = _tracks(width, height)
        self._head = len(_file_head(0))
        self._place = self._write_header()
        self._blocks: list[bytes] = []
        self._cluster = 0
        self._cues: list[bytes] = []
        self._last = -1
        self._period = 0

    def write(self, time: float, frame: bytes) -> None:
        """Add a VP8 key frame that is shown from `time` on, seconds since the video's beginning.

        Raises:
            ValueError: when that is not later than the last one, in milliseconds.
        """
        moment = round(1000 * time)
        if moment <= self._last:
            raise ValueError(f"a frame at {moment} ms cannot follow one at {self._last} ms")
        self._period = moment - max(0, self._last)
        self._last = moment
        if self._blocks and moment - self._cluster >= _CLUSTER:
            self._flush()
        if not self._blocks:
            self._cluster = moment
        head = struct.pack(">BhB", 0x80 | _TRACK, moment - self._cluster, _KEY_FRAME)
        self._blocks.append(_element(0xA3, head + frame))

    def finish(self) -> None:
        """Complete the video: the index, and in the header the duration and where the index is."""
        self._flush()
        index = self._place
        self._place += self._file.write(_element(_CUES, *self._cues))
        self._file.seek(0)
        self._write_header(self._last + max(1, self._period), index - self._head, self._place - self._head)

    def _flush(self) -> None:
        cluster = _element(_CLUSTERS, _unsigned(0xE7, self._cluster), *self._blocks)
        where = _element(0xB7, _unsigned(0xF7, _TRACK), _unsigned(0xF1, self._place - self._head))
        self._cues.append(_element(0xBB, _unsigned(0xB3, self._cluster), where))
        self._place += self._file.write(cluster)
        self._blocks.clear()

    def _write_header(self, duration: int = 0, index: int = 0, size: int = 0) -> int:
        """Write all before the first cluster; places count from the end of `_file_head`."""
        info = _element(
            _INFO,
            _unsigned(0x2AD7B1, 1_000_000),  # nanoseconds in a unit of time
            _element(0x4489, struct.pack(">d", duration)),
            _element(0x4D80, b"Vedette"),
            _element(0x5741, b"Vedette"),
        )
        seek = _element(0x4DBB, _element(0x53AB, _CUES.to_bytes(4, "big")), _unsigned(0x53AC, index))
        return self._file.write(_file_head(size) + _element(0x114D9B74, seek) + info + self._tracks)


def _file_head(size: int) -> bytes:
    """Return the EBML header, and the beginning of a segment with `size` bytes."""
    fields = ((0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8), (0x4287, 2), (0x4285, 2))
    numbers = [_unsigned(name, value) for name, value in fields]
    return _element(0x1A45DFA3, *numbers, _element(0x4282, b"webm")) + _identifier(0x18538067) + _size(size)


def _tracks(width: int, height: int) -> bytes:
    video = _element(0xE0, _unsigned(0xB0, width), _unsigned(0xBA, height))
    numbers = [_unsigned(0xD7, _TRACK), _unsigned(0x73C5, _TRACK), _unsigned(0x83, 1), _unsigned(0x9C, 0)]
    return _element(_TRACKS, _element(0xAE, *numbers, _element(0x86, b"V_VP8"), video))


def _element(name: int, *payload: bytes) -> bytes:
    content = b"".join(payload)
    return _identifier(name) + _size(len(content)) + content


def _unsigned(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def _identifier(name: int) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big")


def _size(value: int) -> bytes:
    return (1 << 56 | value).to_bytes(8, "big")
