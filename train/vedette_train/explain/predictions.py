"""Predictions for any videos: a row a window, a row a video, and how many are right where that is known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from vedette_edge.files import write_atomically
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import View
from vedette_train.metrics import Interval, accuracy

__all__ = ["VideoPrediction", "predict_view", "prediction_table", "table_bytes", "write_predictions"]


@dataclass(frozen=True, slots=True)
class VideoPrediction:
    """What the network says of one video.

    Attributes:
        subject: the video.
        label: the class of the highest mean probability over all windows.
        probability: that mean.
        windows: a row each: start and end in seconds, label, probability of each class.
    """

    subject: Subject
    label: str
    probability: float
    windows: tuple[tuple[float, float, str, tuple[float, ...]], ...]

    @property
    def right(self) -> bool | None:
        """Whether the label is the true one; None where that is not known."""
        return None if self.subject.truth is None else self.label == self.subject.truth


def predict_view(subject: Subject, view: View, labels: Sequence[str]) -> VideoPrediction:
    """Return the prediction for a video that the network looked at."""
    best = int(view.mean.argmax())
    rows = tuple(
        (float(times[0]), float(times[-1]), labels[int(row.argmax())], tuple(map(float, row)))
        for times, row in zip(view.times, view.probabilities, strict=True)
    )
    return VideoPrediction(subject, labels[best], float(view.mean[best]), rows)


def write_predictions(directory: Path, labels: Sequence[str], predictions: Sequence[VideoPrediction]) -> None:
    """Write windows.csv, videos.csv and summary.json.

    Args:
        directory: where to write.
        labels: the network's classes, in its order.
        predictions: one a video.
    """
    windows = [
        (p.subject.name, number, f"{start:.3f}", f"{end:.3f}", label, *(f"{value:.4f}" for value in row))
        for p in predictions
        for number, (start, end, label, row) in enumerate(p.windows)
    ]
    columns = ("video", "window", "start", "end", "label", *(f"p_{label}" for label in labels))
    write_atomically(directory / "windows.csv", table_bytes(columns, windows))
    videos = [
        (
            p.subject.name,
            p.subject.truth or "",
            p.label,
            f"{p.probability:.4f}",
            len(p.windows),
            _as_bit(p.right),
            p.subject.part or "",
        )
        for p in predictions
    ]
    columns = ("video", "true", "predicted", "probability", "windows", "right", "part")
    write_atomically(directory / "videos.csv", table_bytes(columns, videos))
    known = _accuracy(predictions)
    summary = {
        "videos": len(predictions),
        "windows": len(windows),
        "predicted": {label: sum(p.label == label for p in predictions) for label in labels},
        "accuracy": asdict(known) if known else None,
    }
    write_atomically(directory / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


def prediction_table(predictions: Sequence[VideoPrediction]) -> Table:
    """Return the videos with their labels, for the terminal."""
    known = _accuracy(predictions)
    table = Table(caption=f"accuracy {known}" if known else None, caption_justify="left")
    for column in ("video", "true", "predicted", "probability", "windows"):
        table.add_column(column, overflow="fold")
    for p in predictions:
        style = {True: "green", False: "red", None: ""}[p.right]
        table.add_row(
            p.subject.name,
            p.subject.truth or "",
            p.label,
            f"{p.probability:.3f}",
            str(len(p.windows)),
            style=style,
        )
    return table


def table_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _accuracy(predictions: Sequence[VideoPrediction]) -> Interval | None:
    known = [p.right for p in predictions if p.right is not None]
    return accuracy([1] * len(known), [int(right) for right in known]) if known else None


def _as_bit(right: bool | None) -> str:
    return "" if right is None else str(int(right))
