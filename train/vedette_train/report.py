"""Writes what a run is worth: metrics.json, predictions.csv and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vedette_edge.files import write_atomically
from vedette_train.metrics import accuracy, confusion, macro_f1, recalls
from vedette_train.plots import plot_confusion
from vedette_train.predictions import Prediction, write_predictions
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE

__all__ = ["write_report"]


def write_report(
    directory: Path, labels: Sequence[str], predictions: Sequence[Prediction], split: str
) -> dict[str, object]:
    """Write metrics.json, predictions.csv and confusion.png; return the metrics.

    Args:
        directory: where to write.
        labels: the classes, in the network's order.
        predictions: one a video.
        split: what was predicted, for the reader: "fold 0 of 5, by group".
    """
    index = {label: number for number, label in enumerate(labels)}
    truth = [index[p.sample.label] for p in predictions]
    found = [index[p.label] for p in predictions]
    overall = accuracy(truth, found)
    metrics: dict[str, object] = {
        "split": split,
        "accuracy": asdict(overall),
        "macro_f1": asdict(macro_f1(truth, found, [p.sample.group for p in predictions])),
        "recall": {
            label: asdict(recall) if recall else None
            for label, recall in zip(labels, recalls(truth, found, len(labels)), strict=True)
        },
    }
    write_atomically(directory / METRICS_FILE, (json.dumps(metrics, indent=2) + "\n").encode())
    write_predictions(directory / PREDICTIONS_FILE, labels, predictions)
    plot_confusion(
        confusion(truth, found, len(labels)), labels, f"accuracy {overall}", directory / "confusion.png"
    )
    return metrics
