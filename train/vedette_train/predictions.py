"""What a network says of each video, and the table predictions.csv that keeps it.

video,label,group,predicted,right,p_<label>,...       one row a video, a probability for each class
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_train.runs import Sample

__all__ = ["Prediction", "predict", "read_predictions", "write_predictions"]

_COLUMNS = ("video", "label", "group", "predicted", "right")
_PREFIX = "p_"
_AGAIN = "run  vedette-train evaluate RUN  again"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one video.

    Attributes:
        sample: which video, with its true label.
        label: the most probable class.
        probabilities: of each class, in the network's order; they sum to 1.
    """

    sample: Sample
    label: str
    probabilities: tuple[float, ...]

    @property
    def probability(self) -> float:
        """That of the most probable class."""
        return max(self.probabilities)


def predict(sample: Sample, windows: NDArray[np.floating[Any]], labels: Sequence[str]) -> Prediction:
    """Return a video's prediction: the mean of the probabilities of its windows.

    Args:
        sample: the video.
        windows: (N, K) probabilities.
        labels: the K classes, in the network's order.
    """
    mean = windows.mean(axis=0, dtype=np.float64)
    return Prediction(sample, labels[int(mean.argmax())], tuple(float(value) for value in mean))


def write_predictions(path: Path, labels: Sequence[str], predictions: Sequence[Prediction]) -> None:
    """Write predictions.csv; probabilities as they are, so that figures can be made again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_COLUMNS, *(f"{_PREFIX}{label}" for label in labels)))
    for p in predictions:
        right = int(p.label == p.sample.label)
        shares = (repr(value) for value in p.probabilities)
        writer.writerow((p.sample.name, p.sample.label, p.sample.group, p.label, right, *shares))
    write_atomically(path, text.getvalue().encode())


def read_predictions(path: Path) -> tuple[tuple[str, ...], list[Prediction]]:
    """Read predictions.csv back: the classes in the network's order, and one prediction a video.

    Raises:
        DataError: when it is missing, not such a table, of before it kept all probabilities, names a video
            twice or a class that it has no column for, or its probabilities are none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of predictions ({error})") from error
    columns, labels = tuple(header[: len(_COLUMNS)]), tuple(header[len(_COLUMNS) :])
    if header[:4] == list(_COLUMNS[:4]) and not any(name.startswith(_PREFIX) for name in header):
        raise DataError(f"{path}: has no {_PREFIX} columns, an earlier version wrote it; {_AGAIN}")
    if columns != _COLUMNS or not labels or not all(name.startswith(_PREFIX) for name in labels):
        raise DataError(f"{path}: not a table of predictions; found the columns {', '.join(header)}")
    labels = tuple(name.removeprefix(_PREFIX) for name in labels)
    predictions: dict[str, Prediction] = {}
    for number, row in enumerate(rows, start=2):
        try:
            found = _of_row(row, labels)
            if found.sample.name in predictions:
                raise ValueError(f"{found.sample.name} is named twice")
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: not a table of predictions ({error}); {_AGAIN}"
            ) from error
        predictions[found.sample.name] = found
    return labels, list(predictions.values())


def _of_row(row: Sequence[str], labels: Sequence[str]) -> Prediction:
    if len(row) != len(_COLUMNS) + len(labels):
        raise ValueError(f"expected {len(_COLUMNS) + len(labels)} values, found {len(row)}")
    name, label, group, predicted, _, *shares = row
    if not name or not group or {label, predicted} - {*labels}:
        raise ValueError(f"{name!r} has label {label!r} and prediction {predicted!r}")
    probabilities = tuple(float(share) for share in shares)
    if not abs(sum(probabilities) - 1) < 1e-3 or min(probabilities) < 0:
        raise ValueError(f"{name} has probabilities that are none: {', '.join(shares)}")
    if probabilities[labels.index(predicted)] < max(probabilities):
        raise ValueError(f"{name} has the prediction {predicted}, which is not the most probable")
    return Prediction(Sample(name=name, label=label, group=group), predicted, probabilities)
