"""The course of a training: one row an epoch in history.csv, one line an epoch for the user."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.progress import Progress, TaskID

from vedette_edge.files import write_atomically
from vedette_train.console import log, make_progress

__all__ = ["COLUMNS", "EpochReport", "read_history"]

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_f1",
    "val_precision",
    "val_recall",
    "lr",
    "pruned",
    "seconds",
)
HISTORY_FILE = "history.csv"


class EpochReport(Callback):
    """Shows a bar for each epoch, prints its figures and adds them to history.csv."""

    def __init__(self, directory: Path) -> None:
        """Write into the run at `directory`; rows of epochs that are trained again are replaced."""
        self._directory = directory
        self._display: Progress | None = None
        self._task: TaskID | None = None
        self._start = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar of an epoch."""
        del pl_module
        self._start = time.monotonic()
        self._display = make_progress()
        self._display.start()
        name = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._task = self._display.add_task(name, total=float(trainer.num_training_batches))

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Advance the bar."""
        if self._display and self._task is not None:
            self._display.advance(self._task)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print and keep the figures; validation has run by now."""
        del pl_module
        self._close()
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rates = [float(group["lr"]) for optimizer in trainer.optimizers for group in optimizer.param_groups]
        row = {
            "epoch": trainer.current_epoch + 1,
            "seconds": time.monotonic() - self._start,
            "lr": max(rates, default=math.nan),
            **figures,
        }
        if trainer.is_global_zero:
            _add_row(self._directory / HISTORY_FILE, row)
        log(f"epoch {row['epoch']:>3}/{trainer.max_epochs}{_line(row)}   {row['seconds']:.0f} s")

    def on_exception(self, *_: Any, **__: Any) -> None:
        """Leave no bar behind."""
        self._close()

    def _close(self) -> None:
        if self._display:
            self._display.stop()
            self._display = None


def read_history(directory: Path) -> dict[str, list[float]]:
    """Return the columns of a run's history.csv: empty ones where there is none yet, or nothing validated."""
    rows = _rows(directory / HISTORY_FILE)
    return {column: [float(row[column]) for row in rows if row.get(column)] for column in COLUMNS}


def _line(row: Mapping[str, float]) -> str:
    """Return the figures as text: training / validation where there is one, F1, masked share."""
    parts = [f"loss {_of_parts(row, 'loss')}", f"accuracy {_of_parts(row, 'accuracy')}"]
    parts[-1] += "   (train / val)" if "val_loss" in row else "   (train)"
    if "val_f1" in row:
        parts.append(f"F1 {row['val_f1']:.3f}")
    if "pruned" in row:
        parts.append(f"pruned {row['pruned']:.1%}")
    return "".join(f"   {part}" for part in parts)


def _of_parts(row: Mapping[str, float], kind: str) -> str:
    columns = (f"{part}_{kind}" for part in ("train", "val"))
    return " / ".join(f"{row[column]:.3f}" for column in columns if column in row)


def _add_row(path: Path, row: Mapping[str, float]) -> None:
    earlier = [old for old in _rows(path) if int(old["epoch"]) < row["epoch"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(earlier)
    writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
    write_atomically(path, text.getvalue().encode())


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
