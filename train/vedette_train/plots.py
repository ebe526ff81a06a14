"""Pictures of a run, as PNG: learning curves, confusion, ROC, precision and recall, reliability."""

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
from sklearn.metrics import precision_recall_curve, roc_curve

from vedette_edge.files import write_atomically
from vedette_train.calibration import Bins
from vedette_train.metrics import Interval, Scored, roc_curves

__all__ = [
    "plot_bars",
    "plot_confusion",
    "plot_curves",
    "plot_importances",
    "plot_reliability",
    "plot_roc",
    "plot_trials",
]

_PANELS = (("loss", "loss"), ("accuracy", "accuracy"), ("f1", "F1, mean over classes"))
_RATES = np.linspace(0, 1, 101)


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
    """Draw a confusion matrix twice: with counts, and with shares of each row. Colours are shares.

    Args:
        counts: (K, K) int, rows are the truth.
        labels: names of the K classes.
        title: above the matrices.
        path: the PNG.
    """
    size = 2.5 + 0.55 * len(labels)
    figure = Figure(figsize=(1.8 * size + 1, size), layout="constrained")
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for axes, (values, name) in zip(
        figure.subplots(1, 2), ((counts, "counts"), (shares, "shares of the true class")), strict=True
    ):
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{values[row, column]:.2f}" if values is shares else str(counts[row, column])
                axes.text(column, row, text, ha="center", va="center", color=colour)
        ticks = range(len(labels))
        axes.set_xticks(ticks, labels, rotation=45, ha="right")
        axes.set_yticks(ticks, labels)
        axes.set(title=name, xlabel="predicted", ylabel="true")
    figure.suptitle(title)
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


def plot_roc(data: Scored, labels: Sequence[str], weights: NDArray[np.float64], path: Path) -> None:
    """Draw ROC and precision-recall curves: of the positive class, or of each class against the rest.

    Args:
        data: judged videos.
        labels: names of the K classes.
        weights: (B, N) bootstrap draws, for the 95 % band of the positive class's ROC curve.
        path: the PNG.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    roc, precision_recall = figure.subplots(1, 2)
    for number in range(data.classes) if data.positive is None else [data.positive]:
        truth, scores = data.truth == number, data.probabilities[:, number]
        if truth.all() or not truth.any():
            continue  # neither curve is defined
        false, true, _ = roc_curve(truth, scores)
        (line,) = roc.plot(false, true, label=labels[number])
        precision, recall, _ = precision_recall_curve(truth, scores)
        precision_recall.plot(recall, precision, label=labels[number])
        if data.positive is not None:
            low, high = _roc_band(truth, scores, weights)
            roc.fill_between(_RATES, low, high, color=line.get_color(), alpha=0.2, label="95 %, by group")
    roc.plot([0, 1], [0, 1], ":", color="grey")
    roc.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    precision_recall.set(title="precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    for axes in (roc, precision_recall):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    _save(figure, path)


def _roc_band(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % interval of the true positive rate at each of `_RATES`."""
    drawn = [np.interp(_RATES, *curve) for curve in zip(*roc_curves(scores, truth, weights), strict=True)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


def plot_reliability(curves: Mapping[str, Bins], path: Path) -> None:
    """Draw how often windows are right against how sure they are, and how many are how sure.

    Args:
        curves: by name, such as "before" and "after".
        path: the PNG.
    """
    figure = Figure(figsize=(4.6, 5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    for name, bins in curves.items():
        full = bins.count > 0
        above.plot(bins.confidence[full], bins.accuracy[full], marker="o", label=name)
        edges = np.linspace(0, 1, len(bins.count) + 1)
        below.stairs(bins.count, edges, label=name, fill=len(curves) == 1)
    above.plot([0, 1], [0, 1], ":", color="grey")
    above.set(title="reliability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    below.set(xlabel="probability of the label", ylabel="windows")
    above.grid(alpha=0.3)
    above.legend()
    _save(figure, path)


def plot_bars(bars: Mapping[str, Interval], name: str, path: Path) -> None:
    """Draw a bar with its interval for each run.

    Args:
        bars: figure of each run.
        name: of the figure.
        path: the PNG.
    """
    figure = Figure(figsize=(7, 1.2 + 0.35 * len(bars)), layout="constrained")
    axes = figure.subplots()
    values = np.array([one.value for one in bars.values()])
    reach = np.array(
        [[one.value - one.low for one in bars.values()], [one.high - one.value for one in bars.values()]]
    )
    axes.barh(list(bars), values, xerr=reach.clip(min=0), color="#6699cc", capsize=3)
    axes.invert_yaxis()
    axes.set(xlabel=f"{name}, with its 95 % interval", xlim=(0, 1))
    axes.grid(alpha=0.3, axis="x")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 9}):
        figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())
