"""Measures a run on whole videos, with the device's own decoding, sampling and preprocessing.

A video's prediction is the mean of the probabilities of all its windows, the very windows that
`edge-agent` judges, so both give the same labels for the same file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import Decision, InputSpec
from vedette_edge.sampling import Clip
from vedette_edge.types import FloatArray
from vedette_edge.video import read_frames
from vedette_train.metrics import accuracy, confusion, macro_f1, recalls
from vedette_train.plots import plot_confusion
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE, Run, Sample

__all__ = [
    "Prediction",
    "dataset_root",
    "evaluate_run",
    "read_predictions",
    "video_clips",
    "window_probabilities",
    "write_report",
]

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one video."""

    sample: Sample
    label: str
    probability: float


def video_clips(path: Path, spec: InputSpec, hop: int) -> Iterator[Clip[Sampled]]:
    """Yield all clips of a video, as the device would see them.

    Args:
        path: the video.
        spec: the network's input.
        hop: sampled frames from one clip to the next.

    Yields:
        At least one clip; a short video's last frame is repeated.

    Raises:
        VideoError: when the video cannot be read.
    """
    stream = ClipStream(spec, hop)
    for frame in read_frames(path, spec.fps):
        yield from stream.push(frame)[0]
    yield from stream.finish()


def window_probabilities(network: nn.Module, path: Path, spec: InputSpec, decision: Decision) -> FloatArray:
    """Return the class probabilities of each window of a video: (N, K) float32.

    Raises:
        VideoError: when the video cannot be read.
    """
    device = next(network.parameters()).device
    tensors = [clip_tensor(clip, spec) for clip in video_clips(path, spec, decision.hop)]
    rows = []
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(np.concatenate(tensors)), _BATCH):
            logits = network(batch.to(device)).float() / decision.temperature
            rows.append(torch.softmax(logits, dim=1).cpu())
    return torch.cat(rows).numpy()


def dataset_root(run: Run, data: Path | None) -> Path:
    """Return the folder of a run's dataset: `data`, or where it was when the run was trained.

    Raises:
        DataError: when the folder is not there.
    """
    root = data or Path(run.info.data_root)
    if not root.is_dir():
        raise DataError(f"{root}: the run's dataset is not there; say where it is with --data DIR")
    return root


def evaluate_run(
    run: Run, data: Path | None = None, on_progress: Callable[[int, int], None] | None = None
) -> list[Prediction]:
    """Predict every validation video of a run.

    Args:
        run: a finished run.
        data: the dataset's folder, where it moved since the training.
        on_progress: called with (done, total).

    Raises:
        DataError: when a video of the split is missing or cannot be read.
    """
    root = dataset_root(run, data)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = run.network().to(device)
    predictions = []
    for done, sample in enumerate(run.info.val, start=1):
        rows = window_probabilities(network, root / sample.name, run.recipe.data.input, run.recipe.decision)
        mean = rows.mean(axis=0)
        best = int(mean.argmax())
        predictions.append(Prediction(sample, run.info.labels[best], float(mean[best])))
        if on_progress:
            on_progress(done, len(run.info.val))
    return predictions


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
    _write_predictions(directory / PREDICTIONS_FILE, predictions)
    plot_confusion(
        confusion(truth, found, len(labels)), labels, f"accuracy {overall}", directory / "confusion.png"
    )
    return metrics


def read_predictions(path: Path) -> list[Prediction]:
    """Read predictions.csv back.

    Raises:
        DataError: when it is missing or malformed.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Prediction(
                    Sample(name=row["video"], label=row["label"], group=row["group"]),
                    row["predicted"],
                    float(row["probability"]),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a table of predictions ({error})") from error


def _write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video", "label", "group", "predicted", "probability", "right"))
    for p in predictions:
        right = int(p.label == p.sample.label)
        writer.writerow(
            (p.sample.name, p.sample.label, p.sample.group, p.label, f"{p.probability:.4f}", right)
        )
    write_atomically(path, text.getvalue().encode())
