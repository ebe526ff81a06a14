"""What a model says of each clip, kept so that it is asked only once.

A verdict is kept as one JSON file, written whole, under a name that is a digest of the clip (path, size,
time of change) and of all that it was judged with. So an interrupted run goes on where it was, and nothing
outdated is taken for an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import DataError, VideoError
from vedette_edge.files import write_atomically
from vedette_edge.judges import Judge, Verdict
from vedette_edge.manifest import Probability
from vedette_edge.tuning.clips import LabelledClip
from vedette_edge.video import read_frames

__all__ = [
    "Footage",
    "Judged",
    "Sample",
    "VerdictStore",
    "Window",
    "default_store",
    "judge_clip",
    "judge_clips",
]

_ONE_FRAME = 0.04  # seconds that the only frame of a clip is taken to last


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Window(_Kept):
    """A verdict without its pictures."""

    middle: float = Field(description="The time that the decision takes it for, seconds of the clip.")
    end: float = Field(
        description="Time of its last sample, seconds of the clip: it cannot be known earlier."
    )
    probabilities: tuple[Probability, ...] = Field(description="(K,)")
    anew: bool = Field(description="Whether the stream started anew before it.")


class Judged(_Kept):
    """What a model said of a clip."""

    schema_version: Literal[1] = 1
    seconds: float = Field(gt=0, description="Length of the clip.")
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip, and what a model said of it."""

    clip: LabelledClip
    judged: Judged


@dataclass(slots=True)
class Footage:
    """All clips that could be judged, and why others could not, by name."""

    samples: list[Sample] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class VerdictStore:
    """Verdicts that were given before, as files."""

    def __init__(self, directory: Path, *judged_with: str) -> None:
        """Keep verdicts in a directory.

        Args:
            directory: is made when the first is kept.
            judged_with: all that a verdict depends on, but for the clip.
        """
        self._directory = directory
        self._judged_with = judged_with

    def get(self, path: Path) -> Judged | None:
        """Return the verdict of a clip; None where there is none, or none that can be read."""
        try:
            return Judged.model_validate_json(self._file(path).read_bytes())
        except (OSError, ValidationError):
            return None

    def put(self, path: Path, judged: Judged) -> None:
        """Keep the verdict of a clip.

        Raises:
            DataError: when it cannot be written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(path), judged.model_dump_json().encode())
        except OSError as error:
            raise DataError(
                f"{self._directory}: cannot keep verdicts there ({error.strerror}); give another --cache"
            ) from error

    def _file(self, path: Path) -> Path:
        stat = path.stat()
        key = json.dumps([str(path.absolute()), stat.st_size, stat.st_mtime_ns, *self._judged_with])
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def default_store() -> Path:
    """Return the directory in which the user's verdicts are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "vedette" / "verdicts"


def judge_clips(
    clips: Sequence[LabelledClip],
    judge: Judge,
    store: VerdictStore,
    on_progress: Callable[[str, int, int], None],
) -> Footage:
    """Return what a model says of clips; those that cannot be decoded are left out, and named.

    Args:
        clips: to judge, each as a stream of its own.
        judge: gives the verdicts that are not known yet.
        store: knows the others.
        on_progress: called before each clip with its name, its number from 1, and how many there are.

    Raises:
        DataError: when a verdict cannot be kept.
        RuntimeBackendError: when the runtime fails.
    """
    footage = Footage()
    for number, clip in enumerate(clips, 1):
        on_progress(clip.name, number, len(clips))
        judged = store.get(clip.path)
        if judged is None:
            try:
                judged = judge_clip(clip.path, judge)
            except VideoError as error:
                footage.refused[clip.name] = str(error)
                continue
            store.put(clip.path, judged)
        footage.samples.append(Sample(clip, judged))
    return footage


def judge_clip(path: Path, judge: Judge) -> Judged:
    """Return what a judge says of a whole video; the judge is then ready for the next.

    Raises:
        VideoError: when it cannot be decoded.
        RuntimeBackendError: when the runtime fails.
    """
    windows: list[Window] = []
    frames, last, anew = 0, 0.0, False
    for frame in read_frames(path):
        verdicts, starts = judge.push(frame)
        anew = anew or starts
        frames, last = frames + 1, frame.time
        for verdict in verdicts:
            windows.append(_window(verdict, anew))
            anew = False
    windows += [_window(verdict, anew) for verdict in judge.finish()]
    seconds = last * frames / (frames - 1) if frames > 1 else _ONE_FRAME
    return Judged(seconds=seconds, windows=tuple(windows))


def _window(verdict: Verdict, anew: bool) -> Window:
    probabilities = tuple(min(1.0, float(value)) for value in verdict.probabilities)
    return Window(middle=verdict.middle, end=verdict.end, probabilities=probabilities, anew=anew)
