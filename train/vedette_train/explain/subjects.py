"""The videos that a report is about, with what is known of them; a bad one is named and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError, UsageError, VideoError
from vedette_edge.video import VIDEO_SUFFIXES, pictures_in
from vedette_train.console import log, progress
from vedette_train.data.split import PARTS
from vedette_train.runs import Run, Sample

__all__ = ["Subject", "find_subjects", "for_each", "make_out", "part_subjects", "refuse_bad"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """A video to look at.

    Attributes:
        path: where it lies.
        name: for tables; relative to the folder that was given, with forward slashes.
        stem: for file names; no two subjects share it.
        truth: its label, where the folder it lies in is named after one of the network's.
        group: what it must not be separated from; its name where nothing is known.
        part: of the run's own dataset: train, val or test; None for other videos.
    """

    path: Path
    name: str
    stem: str
    truth: str | None
    group: str
    part: str | None = None


def find_subjects(paths: Sequence[Path], run: Run) -> list[Subject]:
    """List the videos named, and those in the folders named, however deep.

    A folder of pictures and no videos is one video.

    Raises:
        DataError: when a folder holds no video.
    """
    root = Path(run.info.data_root)
    own = {
        (root / sample.name).resolve(): (sample.group, part)
        for part in PARTS
        for sample in run.info.part(part)
    }
    rows = []
    for path, name in (pair for place in paths for pair in _videos_at(place, run.info.labels)):
        group, part = own.get(path.resolve(), (name, None))
        rows.append((path, name, _label_of(path, run.info.labels), group, part))
    return _subjects(rows)


def part_subjects(run: Run, part: str, data: Path | None = None) -> list[Subject]:
    """List the videos of one part of a run's own dataset.

    Args:
        run: a finished run.
        part: train, val or test.
        data: the dataset's folder, where it moved since the training.

    Raises:
        UsageError: when the run has no such part.
        DataError: when the folder is not there.
    """
    parts: dict[str, tuple[Sample, ...]] = {name: run.info.part(name) for name in PARTS}
    samples = parts.get(part, ())
    if not samples:
        there = [name for name, of_part in parts.items() if of_part]
        raise UsageError(f"{run.directory} has no videos of part '{part}'; it has: {', '.join(there)}")
    root = data or Path(run.info.data_root)
    if not root.is_dir():
        raise DataError(f"{root}: the run's dataset is not there; say where it is with --data DIR")
    return _subjects((root / s.name, s.name, s.label, s.group, part) for s in samples)


def make_out(out: Path, subjects: Sequence[Subject]) -> None:
    """Make the folder of a report, unless its videos would replace those that it is about.

    Raises:
        UsageError: when they would.
    """
    films = {(out / f"{subject.stem}.mp4").resolve() for subject in subjects}
    if lost := [subject.name for subject in subjects if subject.path.resolve() in films]:
        raise UsageError(
            f"{out} holds {lost[0]}, which a video of this report would replace; choose another --out"
        )
    out.mkdir(parents=True, exist_ok=True)


def for_each(
    subjects: Sequence[Subject], verb: str, work: Callable[[Subject, Callable[[int, int], None]], None]
) -> list[Subject]:
    """Do something for each video, with a progress bar each; name those that cannot be read, and go on.

    Args:
        subjects: the videos.
        verb: what is done, for the bar.
        work: gets a subject and a function to call with (done, total).

    Returns:
        The videos that could not be read.
    """
    bad: list[Subject] = []
    for number, subject in enumerate(subjects, start=1):
        with progress(f"{verb} {number} of {len(subjects)}: {subject.name}") as on_progress:
            try:
                work(subject, on_progress)
            except VideoError as error:
                log(f"left out: {error}", style="yellow")
                bad.append(subject)
    return bad


def refuse_bad(bad: Sequence[Subject], total: int) -> None:
    """End a command whose other videos are done.

    Raises:
        DataError: when a video could not be read; names the first few.
    """
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        listing = ", ".join(subject.name for subject in bad[:_NAMED])
        raise DataError(
            f"{len(bad)} of {total} videos could not be read and were left out: {listing}{more}; "
            "repair or remove them"
        )


def _videos_at(path: Path, labels: Sequence[str]) -> list[tuple[Path, str]]:
    if not path.is_dir():
        known = _label_of(path, labels)
        return [(path, f"{known}/{path.name}" if known else path.name)]
    found = sorted(
        p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith(".")
    )
    if not found and pictures_in(path):
        return [(path, path.name)]
    if not found:
        raise DataError(f"{path}: no video in this folder ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return [(p, p.relative_to(path).as_posix()) for p in found]


def _label_of(path: Path, labels: Sequence[str]) -> str | None:
    folder = path.absolute().parent.name
    return folder if folder in labels else None


def _subjects(rows: Iterable[tuple[Path, str, str | None, str, str | None]]) -> list[Subject]:
    taken: set[str] = set()
    subjects = []
    for path, name, truth, group, part in rows:
        plain = name.removesuffix(Path(name).suffix).replace("/", "_")
        stem, number = plain, 2
        while stem in taken:
            stem, number = f"{plain}-{number}", number + 1
        taken.add(stem)
        subjects.append(Subject(path, name, stem, truth, group, part))
    return subjects
