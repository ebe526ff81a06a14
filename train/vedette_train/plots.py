"""Pictures of a run: learning curves and the confusion matrix, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from vedette_edge.files import write_atomically

__all__ = ["plot_confusion", "plot_curves", "plot_importances", "plot_trials"]

_PANELS = (("loss", "loss"), ("accuracy", "accuracy"), ("f1", "F1, mean over classes"))


def plot_curves(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw loss, accuracy and F1 over epochs, training and validation.

    Args:
        history: `train_loss`, `val_loss`, `train_accuracy`, `val_accuracy`, `val_f1`, one value an epoch;
            what is missing or empty is not drawn.
        path: the PNG.
    """
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    for axes, (kind, title) in zip(figure.subplots(1, 3), _PANELS, strict=True):
        for part, style in (("train", "--"), ("val", "-")):
            values = history.get(f"{part}_{kind}")
            if not values:
                continue
            axes.plot(range(1, len(values) + 1), values, style, label=part, marker="o", markersize=3)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    _save(figure, path)


def plot_confusion(counts: NDArray[np.int64], labels: Sequence[str], title: str, path: Path) -> None:
    """Draw a confusion matrix with counts; colours are shares of each row.

    Args:
        counts: (K, K) int, rows are the truth.
        labels: names of the K classes.
        title: above the matrix.
        path: the PNG.
    """
    size = 2.5 + 0.55 * len(labels)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right")
    axes.set_yticks(ticks, labels)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    _save(figure, path)


def plot_trials(
    numbers: Sequence[int], values: Sequence[float], name: str, path: Path, *, rising: bool
) -> None:
    """Draw what each trial of a sweep reached, and the best so far.

    Args:
        numbers: of the trials, at least one.
        values: what they reached.
        name: of the metric.
        path: the PNG.
        rising: whether more is better.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    best = np.maximum.accumulate(values) if rising else np.minimum.accumulate(values)
    axes.plot(numbers, values, "o", markersize=4, label="trial")
    axes.step(numbers, best, where="post", label="best so far")
    axes.set(xlabel="trial", ylabel=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def plot_importances(importances: Mapping[str, float], name: str, path: Path) -> None:
    """Draw how much of a metric's variance each parameter of a sweep explains.

    Args:
        importances: share, 0..1, by parameter.
        name: of the metric.
        path: the PNG.
    """
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(importances)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(importances)[::-1], list(importances.values())[::-1])
    axes.set(xlabel=f"importance for {name}", xlim=(0, 1))
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 9}):
        figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())
