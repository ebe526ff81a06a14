"""Keeps on disk what a model was unsure of, so that somebody can label it and train on it.

A sample is a folder `<ULID>-<camera>-<model>` with the frames that the model saw, `frame_000.jpg` onwards,
and `sample.json`. Training reads such a folder as a video, so to label it is to move it into a folder of that
name. A sample appears whole or not at all. Names sort by age, and the oldest go when the quota is full.
Writing happens in a thread of its own and never holds up a camera: what comes while it is busy is not kept.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from vedette_edge.drift.features import margin
from vedette_edge.errors import ConfigError
from vedette_edge.ids import new_ulid
from vedette_edge.judges import Verdict
from vedette_edge.preprocess import resize
from vedette_edge.types import Image

__all__ = ["SampleKeeper", "UnsureSample"]

_log = logging.getLogger(__name__)

_SHORT_SIDE = 360  # pixels; networks see less
_QUALITY = 90
_TEMPORARY = ".unfinished-"


@dataclass(frozen=True, slots=True, eq=False)
class UnsureSample:
    """A verdict, and where it comes from.

    Attributes:
        camera: its identifier.
        model: name of the model in the configuration.
        model_sha256: digest of the bundle's manifest.
        labels: names of the classes.
        fps: frames a second that the model samples.
        time: Unix time, seconds.
        verdict: what the model said, of which frames.
    """

    camera: str
    model: str
    model_sha256: str
    labels: Sequence[str]
    fps: float
    time: float
    verdict: Verdict

    def describe(self) -> dict[str, object]:
        """Return what stands in `sample.json`."""
        scores = zip(self.labels, self.verdict.probabilities, strict=True)
        return {
            "camera": self.camera,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "time": round(self.time, 3),
            "start": round(self.verdict.start, 3),
            "end": round(self.verdict.end, 3),
            "fps": self.fps,
            "probabilities": {name: round(float(value), 4) for name, value in scores},
        }


class SampleKeeper:
    """The samples of all cameras."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        *,
        max_margin: float,
        interval: float,
        redact: Callable[[str, Image], Image] | None = None,
    ) -> None:
        """Keep samples in a folder, which is made.

        Args:
            directory: the folder.
            max_bytes: bound on all samples.
            max_margin: a verdict whose margin is larger is sure enough.
            interval: seconds between two samples of a camera and model.
            redact: hides what nobody may see of a camera; returns a new picture.

        Raises:
            ConfigError: when the folder cannot be made or read.
        """
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_margin = max_margin
        self._interval = interval
        self._redact = redact
        self._next: dict[tuple[str, str], float] = {}
        self._kept = deque(_found_in(directory))
        self._queue: queue.Queue[UnsureSample | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._write_all, name="samples", daemon=True)
        self._thread.start()

    def offer(self, sample: UnsureSample) -> bool:
        """Keep a sample if it is unsure, none was kept lately, and the writer is free; from any thread."""
        key = sample.camera, sample.model
        sure = margin(sample.verdict.probabilities) >= self._max_margin
        if sure or sample.time < self._next.get(key, float("-inf")):
            return False
        try:
            self._queue.put_nowait(sample)
        except queue.Full:
            return False
        self._next[key] = sample.time + self._interval
        return True

    @property
    def busy(self) -> bool:
        """Whether samples are still to be written."""
        return self._queue.unfinished_tasks > 0

    def close(self, patience: float = 5.0) -> None:
        """Write what is in hand, and end."""
        try:
            self._queue.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)

    def _write_all(self) -> None:
        while (sample := self._queue.get()) is not None:
            try:
                self._write(sample)
            except OSError as error:
                _log.warning("cannot keep a sample in %s: %s", self._directory, error)
            finally:
                self._queue.task_done()

    def _write(self, sample: UnsureSample) -> None:
        files = self._files(sample)
        size = sum(map(len, files.values()))
        self._make_room(size)
        if size > self._max_bytes:
            return
        path = self._directory / f"{new_ulid()}-{sample.camera}-{sample.model}"
        _write_folder(path, files)
        self._kept.append((path, size))

    def _files(self, sample: UnsureSample) -> dict[str, bytes]:
        files = {
            f"frame_{number:03d}.jpg": self._encode(sample.camera, frame.image)
            for number, frame in enumerate(sample.verdict.frames)
        }
        return files | {"sample.json": (json.dumps(sample.describe(), indent=2) + "\n").encode()}

    def _encode(self, camera: str, image: Image) -> bytes:
        height, width = image.shape[:2]
        factor = min(1.0, _SHORT_SIDE / min(height, width))
        small = resize(image, round(height * factor), round(width * factor)) if factor < 1 else image
        shown = small if self._redact is None else self._redact(camera, small)
        data: bytes = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        return data

    def _make_room(self, size: int) -> None:
        while self._kept and sum(kept for _, kept in self._kept) + size > self._max_bytes:
            oldest, _ = self._kept.popleft()
            # It may have been taken away to be labelled.
            shutil.rmtree(oldest, ignore_errors=True)


def _found_in(directory: Path) -> list[tuple[Path, int]]:
    """Return the samples of a folder, oldest first, with their sizes; remove what was cut off."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)
        found = sorted(path for path in directory.iterdir() if (path / "sample.json").is_file())
        return [(path, _size(path)) for path in found]
    except OSError as error:
        raise ConfigError(
            f"{directory}: cannot keep samples there ({error.strerror}); give drift.samples_directory a "
            "directory that the agent may write to"
        ) from error


def _write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder in one step: under another name, flushed to the disk, then renamed."""
    temporary = path.with_name(_TEMPORARY + path.name)
    try:
        temporary.mkdir()
        for name, data in files.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
