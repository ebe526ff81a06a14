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

__all__ = ["plot_confusion", "plot_curves", "save_figure"]

_PANELS = (("loss", "loss"), ("accuracy", "accuracy"))


def plot_curves(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw loss and accuracy over epochs, training and validation.

    Args:
        history: `train_loss`, `val_loss`, `train_accuracy`, `val_accuracy`, one value an epoch.
        path: the PNG.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (kind, title) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for part, style in (("train", "--"), ("val", "-")):
            values = history[f"{part}_{kind}"]
            axes.plot(range(1, len(values) + 1), values, style, label=part, marker="o", markersize=3)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, path)


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
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path, *, dpi: int = 130) -> None:
    """Write a figure as PNG, whole or not at all."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 9}):
        figure.savefig(buffer, format="png", dpi=dpi)
    write_atomically(path, buffer.getvalue())
