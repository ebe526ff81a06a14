"""Judges any pictures with a finished run: one CSV row and one overlay each."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_train.anomaly.evaluate import heat_pictures, judge_image, relative_score
from vedette_train.anomaly.images import SUFFIXES, read_image
from vedette_train.anomaly.pictures import encode_png
from vedette_train.anomaly.run import AnomalyRun

__all__ = ["DETECTIONS_FILE", "Detection", "detect_files", "find_pictures"]

DETECTIONS_FILE = "detections.csv"


@dataclass(frozen=True, slots=True)
class Detection:
    """What was said of one file.

    Attributes:
        path: the file.
        bad: whether its score reaches the threshold; None where it could not be read.
        score: the detector's.
        relative: the score where 1 is the threshold.
        overlay: name of the picture that was written, or "".
        problem: why it could not be read, or "".
    """

    path: Path
    bad: bool | None
    score: float = float("nan")
    relative: float = float("nan")
    overlay: str = ""
    problem: str = ""


def find_pictures(places: Sequence[Path]) -> list[Path]:
    """Return files as they are, and all pictures in and below folders, in the order of their names.

    Raises:
        UsageError: when a place does not exist, or there is no picture at all.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        elif place.is_file():
            found.append(place)
        else:
            raise UsageError(f"{place}: no such file or folder")
    if not found:
        raise UsageError(f"{', '.join(map(str, places))}: no picture found")
    return found


def detect_files(
    run: AnomalyRun,
    paths: Sequence[Path],
    out: Path,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Detection]:
    """Judge files, and write detections.csv and overlays/ into a folder.

    A file that cannot be read gets a row that says why.

    Args:
        run: a finished run.
        paths: files.
        out: the folder; overlays of an earlier call are replaced where the names are the same.
        on_progress: called with (done, total).

    Raises:
        DataError: when no file can be read.
    """
    detector, calibration = run.detector()
    (out / "overlays").mkdir(parents=True, exist_ok=True)
    found: list[Detection] = []
    for index, path in enumerate(paths):
        try:
            image = read_image(path, run.recipe.data.input.white)
        except DataError as error:
            found.append(Detection(path, None, problem=str(error)))
        else:
            judged = judge_image(detector, image, run.recipe)
            _, over = heat_pictures(image, judged, calibration, run.recipe.pictures)
            # Numbered, because two folders may hold the same name.
            name = f"{index:05d}_{path.stem}.png"
            write_atomically(out / "overlays" / name, encode_png(over))
            bad = judged.score >= calibration.threshold
            relative = relative_score(judged.score, calibration)
            found.append(Detection(path, bad, judged.score, relative, f"overlays/{name}"))
        on_progress(index + 1, len(paths))
    _write(out / DETECTIONS_FILE, found)
    if all(detection.problem for detection in found):
        raise DataError(f"none of {len(found)} files can be read; the first: {found[0].problem}")
    return found


def _write(path: Path, found: Sequence[Detection]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "predicted", "score", "relative", "overlay", "problem"))
    for one in found:
        if one.bad is None:
            writer.writerow((one.path, "", "", "", "", one.problem))
        else:
            label = "bad" if one.bad else "good"
            writer.writerow((one.path, label, f"{one.score:.6g}", f"{one.relative:.4f}", one.overlay, ""))
    write_atomically(path, text.getvalue().encode())
