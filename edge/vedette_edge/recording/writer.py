"""Writes clips as files: redacts and encodes each frame, and puts a JSON file beside the video.

A video appears under its name only once it is whole and on the disk, and its JSON file after it. A full disk
costs the clip and one line in the log.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from vedette_edge.files import write_atomically
from vedette_edge.privacy import Redactor
from vedette_edge.recording.planner import Begin, Job, Shot
from vedette_edge.recording.record import ClipRecord
from vedette_edge.recording.webm import WebmWriter, vp8_of
from vedette_edge.stills import encode
from vedette_edge.types import Image

__all__ = ["ClipWriter"]

_log = logging.getLogger(__name__)

# What clips leave of a disk: the store of undelivered events needs the last of it more.
_SPARED_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class _Open:
    """A clip that is being written; it has a video once it has a frame."""

    name: str
    file: BinaryIO
    path: Path
    video: WebmWriter | None = None
    size: tuple[int, int] = (0, 0)
    start: float = 0.0
    frames: int = 0


class ClipWriter:
    """Writes one clip after the other."""

    def __init__(self, directory: Path, redactor: Redactor, *, quality: int) -> None:
        """Write into `directory`, with WebP's `quality`, 1..100."""
        self._directory = directory
        self._redactor = redactor
        self._quality = quality
        self._open: _Open | None = None
        self._failing = False
        self.written = 0
        self.failed = 0

    def take(self, job: Job) -> None:
        """Do the next job of a `ClipPlanner`; a disk that refuses is logged, and the clip given up."""
        try:
            if isinstance(job, Begin):
                self._begin(job.name)
            elif self._open is None:
                return
            elif isinstance(job, Shot):
                self._add(self._open, job)
            else:
                self._stop(self._open, job.record)
        except OSError as error:
            self._give_up(error)

    def _begin(self, name: str) -> None:
        self._discard()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._check_room()
        path = self._directory / f".{name}.webm.{os.getpid()}.tmp"
        self._open = _Open(name, path.open("wb"), path)

    def _add(self, clip: _Open, shot: Shot) -> None:
        self._check_room()
        image = self._redactor.redact(_decoded(shot.jpeg))
        if clip.video is None:
            clip.size = image.shape[1], image.shape[0]
            clip.start = shot.time
            clip.video = WebmWriter(clip.file, *clip.size)
        elif clip.size != (image.shape[1], image.shape[0]):
            # The camera came back with another resolution, or the governor chose one.
            image = np.asarray(cv2.resize(image, clip.size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        frame = vp8_of(encode(image, to="webp", quality=self._quality).data)
        clip.video.write(shot.time - clip.start, frame)
        clip.frames += 1

    def _stop(self, clip: _Open, record: ClipRecord) -> None:
        if clip.video is not None:
            clip.video.finish()
            clip.file.flush()
            os.fsync(clip.file.fileno())
            final = self._directory / f"{clip.name}.webm"
            clip.path.replace(final)
            told = record.model_copy(update={"frames": clip.frames, "bytes": final.stat().st_size})
            write_atomically(final.with_suffix(".json"), told.model_dump_json(indent=2).encode())
            self.written += 1
            self._failing = False
        self._discard()

    def _discard(self) -> None:
        """Leave the file, and remove it where it has not got its name."""
        opened, self._open = self._open, None
        if opened is not None:
            # The file may hold bytes that a full disk refuses, so even closing it can fail.
            with contextlib.suppress(OSError):
                opened.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                opened.file.close()

    def _check_room(self) -> None:
        if shutil.disk_usage(self._directory).free < _SPARED_BYTES:
            raise OSError(errno.ENOSPC, f"less than {_SPARED_BYTES >> 20} MiB are free")

    def _give_up(self, error: OSError) -> None:
        if not self._failing:
            _log.warning("cannot keep clips in %s: %s", self._directory, error.strerror or error)
        self._failing = True
        self.failed += 1
        self._discard()


def _decoded(jpeg: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "the JPEG is our own"
    return np.asarray(image, dtype=np.uint8)
