"""The charts of a report, each drawn twice: for a light page and for a dark one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from vedette_converters.figures import Row, megabytes
from vedette_converters.pareto import Budget, Candidate
from vedette_edge.manifest import Precision, Runtime, Variant
from vedette_edge.types import FloatArray
from vedette_train.explain.drawing import png_of

__all__ = ["Chart", "Panel", "draw_differences", "draw_front", "draw_latency", "draw_sizes", "spread"]

# Readable on white and on near black, and told apart by those who do not see red and green.
_COLOURS: dict[Runtime, str] = {"onnx": "#3b82c4", "openvino": "#d97706", "tflite": "#0f9d76"}
_MARKERS: dict[Precision, str] = {"fp32": "o", "fp16": "^", "int8": "s"}

_WIDTH = 9.6  # inches
_MARKS = {"mean of the proof": "|", "largest of the proof": "x"}
_ON_LIGHT, _ON_DARK = ("#1f2328", "#d0d7de"), ("#e6edf3", "#3d444d")  # ink and lines
_FLOOR = 1e-9  # what is smaller is drawn there: a logarithm has no zero


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture as PNG, for a light page and for a dark one."""

    light: bytes
    dark: bytes


@dataclass(frozen=True, slots=True)
class Panel:
    """Something in which the variants differ from the trained network.

    Attributes:
        title: what it is.
        values: |difference| on the golden samples by variant, any shape.
        proof: returns mean and largest |difference| over the samples of a variant's proof.
    """

    title: str
    values: Mapping[str, FloatArray]
    proof: Callable[[Variant], tuple[float | None, float | None]]


def draw_latency(rows: Sequence[Row]) -> Chart:
    """Draw what a call costs against how often it is right, a point a variant with its 95 % interval.

    Args:
        rows: variants; those without cost or accuracy are left out.
    """
    points = [
        (row.variant, row.measured.p50_ms, row.variant.proof.accuracy)
        for row in rows
        if row.measured and row.variant.proof.accuracy
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for variant, milliseconds, accuracy in points:
            axes.errorbar(
                milliseconds,
                accuracy.value,
                yerr=[[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]],
                fmt=_MARKERS[variant.precision],
                color=_COLOURS[variant.runtime],
                markerfacecolor="none" if variant.mode == "stream" else None,
                markersize=8,
                elinewidth=1.2,
                capsize=3,
            )
        _plain_log(axes)
        axes.set(xlabel="milliseconds a call (p50): a clip, or one frame of a stream", ylabel="accuracy")
        axes.margins(x=0.1)
        _label_above(axes, [(milliseconds, one.value, variant.name) for variant, milliseconds, one in points])

    return _drawn(draw, height=5.4)


def draw_sizes(rows: Sequence[Row]) -> Chart:
    """Draw the size of each variant's files as a bar."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        sizes = [megabytes(row.variant) for row in rows]
        colours = [_COLOURS[row.variant.runtime] for row in rows]
        bars = axes.barh([row.variant.name for row in rows], sizes, color=colours, height=0.66)
        axes.bar_label(bars, [f" {size:.2f} MB" for size in sizes])
        axes.invert_yaxis()
        axes.margins(x=0.14)
        axes.set_xlabel("MB")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)

    return _drawn(draw, height=0.9 + 0.33 * len(rows))


def draw_differences(rows: Sequence[Row], panels: Sequence[Panel]) -> Chart:
    """Draw how |difference| to the trained network is distributed: a histogram a variant, panel by panel.

    Args:
        rows: the variants.
        panels: what differs; a variant that has no values in the first one is left out.
    """
    shown = [row for row in rows if row.variant.name in panels[0].values]
    edges = np.geomspace(_FLOOR, 1.0, 46)

    def draw(figure: Figure) -> None:
        for axes, panel in zip(
            np.atleast_1d(figure.subplots(1, len(panels), sharey=True)), panels, strict=True
        ):
            for place, row in enumerate(shown):
                _histogram(axes, place, panel.values[row.variant.name], edges, _COLOURS[row.variant.runtime])
                for (name, marker), value in zip(_MARKS.items(), panel.proof(row.variant), strict=True):
                    if value is not None:
                        label = name if place == 0 else None
                        value = min(max(value, _FLOOR), 1.0)
                        axes.plot(value, place - 0.12, marker, color=_ink(), label=label, clip_on=False)
            axes.set_xscale("log")
            axes.set(xlim=(_FLOOR, 1.0), ylim=(len(shown) - 0.7, -1.0), xlabel=panel.title)
            axes.set_yticks(range(len(shown)), [row.variant.name for row in shown])
            axes.tick_params(axis="y", length=0)
        # The marks are the same in all panels, and not all of them are known in each.
        axes.legend(loc="lower right", ncols=2, bbox_to_anchor=(1.0, 1.0))

    return _drawn(draw, height=1.2 + 0.4 * len(shown))


def draw_front(
    candidates: Sequence[Candidate],
    front: Sequence[Candidate],
    recommended: Candidate | None,
    budget: Budget,
    reference: float,
) -> bytes:
    """Draw latency against accuracy of all candidates, their area the size in MB, and return a PNG.

    Args:
        candidates: at least one.
        front: those that no other one dominates; they are named.
        recommended: one of them, or None.
        budget: drawn as dotted lines.
        reference: accuracy of the dense network.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        dots = axes.scatter(
            [one.latency_ms for one in candidates],
            [one.accuracy for one in candidates],
            s=[40 * one.size_mb for one in candidates],
            c=["#3b82c4" if one in front else "#b6bec7" for one in candidates],
            alpha=0.75,
        )
        axes.legend(
            *dots.legend_elements("sizes", num=3, func=lambda area: np.divide(area, 40), fmt="{x:.1f} MB")
        )
        if recommended:
            axes.plot(recommended.latency_ms, recommended.accuracy, "*", color="#d97706", markersize=16)
        axes.axvline(budget.latency_ms, color="0.4", linestyle=":")
        axes.axhline(reference - budget.max_drop, color="0.4", linestyle=":")
        _plain_log(axes)
        axes.set(xlabel="milliseconds a call (p50): a clip, or one frame of a stream", ylabel="accuracy")
        axes.margins(x=0.1, y=0.15)
        _label_above(
            axes,
            [(one.latency_ms, one.accuracy, f"{one.variant}, {one.ratio:.0%} removed") for one in front],
        )

    return _png(draw, 6.4, *_ON_LIGHT, background="white")


def _plain_log(axes: Axes) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label_above(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write the names of points above the axes, side by side, each with a line to its point.

    Beside the points they would hide each other, because variants of one network are equally often right.

    Args:
        axes: with a logarithmic horizontal axis and all its points drawn.
        points: x, y and name.
    """
    ordered = sorted(points, key=lambda point: (point[0], -point[1]))
    low, high = axes.get_xlim()
    shares = np.log([point[0] / low for point in ordered]) / np.log(high / low)
    for (x, y, name), place in zip(ordered, spread(shares, gap=0.032), strict=True):
        axes.annotate(
            name,
            xy=(x, y),
            xytext=(place, 1.03),
            textcoords="axes fraction",
            rotation=40,
            rotation_mode="anchor",
            ha="left",
            va="bottom",
            arrowprops={
                "arrowstyle": "-",
                "color": "0.5",
                "linewidth": 0.6,
                "linestyle": ":",
                "shrinkB": 5,
                "relpos": (0, 0),
            },
        )


def spread(places: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Move sorted places apart until neighbours are at least `gap` from each other, as little as it takes.

    Isotonic regression [Barlow et al. 1972]: places that are too close become a block, evenly spaced around
    the mean of what they wanted.

    Args:
        places: (N,) float, rising.
        gap: at least 0.
    """
    wanted = places - gap * np.arange(len(places))
    blocks: list[tuple[float, int]] = []  # sum and length
    for value in wanted:
        total, count = float(value), 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            before, length = blocks.pop()
            total, count = total + before, count + length
        blocks.append((total, count))
    levels = [total / count for total, count in blocks for _ in range(count)]
    apart: NDArray[np.float64] = np.asarray(levels) + gap * np.arange(len(places))
    return apart


def _histogram(axes: Axes, place: int, values: FloatArray, edges: NDArray[np.float64], colour: str) -> None:
    """Draw a histogram that stands on the line `place`."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    heights = 0.75 * counts / max(1, counts.max())
    axes.bar(edges[:-1], -heights, width=np.diff(edges), bottom=place, align="edge", color=colour)
    axes.axhline(place, color=colour, linewidth=0.6)


def _ink() -> str:
    return str(matplotlib.rcParams["text.color"])


def _drawn(draw: Callable[[Figure], None], height: float) -> Chart:
    return Chart(*(_png(draw, height, ink, line) for ink, line in (_ON_LIGHT, _ON_DARK)))


def _png(
    draw: Callable[[Figure], None], height: float, ink: str, line: str, background: str = "none"
) -> bytes:
    style: Any = {
        "font.size": 10,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": line,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": line,
        "grid.linewidth": 0.6,
        "xtick.color": ink,
        "ytick.color": ink,
        "legend.frameon": False,
        "savefig.facecolor": background,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure)
        return png_of(figure, dpi=170)
