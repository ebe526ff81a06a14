"""The AUROC of several runs on the same pictures, or on some of them, from their predictions.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError
from vedette_train.anomaly.figures import auroc_interval
from vedette_train.metrics import Interval
from vedette_train.runs import PREDICTIONS_FILE

__all__ = ["Scored", "auroc_on", "read_names", "read_scored"]


@dataclass(frozen=True, slots=True)
class Scored:
    """What predictions.csv says of one test picture.

    Attributes:
        picture: path below the dataset's folder, with forward slashes.
        bad: whether it shows a defect.
        score: the detector's.
        group: number that near-duplicates share.
    """

    picture: str
    bad: bool
    score: float
    group: int


def read_names(path: Path) -> frozenset[str]:
    """Return the names in a text file, one a line.

    Raises:
        DataError: when it cannot be read or is empty.
    """
    try:
        names = frozenset(
            line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not names:
        raise DataError(f"{path}: holds no name; expected one a line, such as test/good/a.png")
    return names


def auroc_on(
    run: Path, only: frozenset[str] = frozenset(), without: frozenset[str] = frozenset()
) -> Interval:
    """Return a run's AUROC with its bootstrap interval over groups.

    Args:
        run: its folder.
        only: names of the pictures that count; empty for all.
        without: names of pictures that do not count.

    Raises:
        DataError: when there is no predictions.csv, it is damaged, or one kind of picture is missing.
    """
    path = run / PREDICTIONS_FILE
    rows = [
        row for row in read_scored(path) if (not only or row.picture in only) and row.picture not in without
    ]
    if len({row.bad for row in rows}) < 2:
        raise DataError(f"{path}: of these pictures {len(rows)} are in it, and not both good and bad ones")
    return auroc_interval([row.bad for row in rows], [row.score for row in rows], [row.group for row in rows])


def read_scored(path: Path) -> list[Scored]:
    """Read the predictions.csv of a run of anomaly detection.

    Raises:
        DataError: when it is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Scored(row["picture"], row["kind"] != "good", float(row["score"]), int(row["group"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as predictions of anomaly detection ({error})") from error
