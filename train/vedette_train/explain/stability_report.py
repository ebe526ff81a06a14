"""What was measured of a network's steadiness, as tables, plots and videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from vedette_edge.files import write_atomically
from vedette_edge.types import Frame, Image
from vedette_train.explain.drawing import banner, curve_strip, even, png_of, verdict
from vedette_train.explain.film import film_picture, film_width, write_film
from vedette_train.explain.predictions import table_bytes
from vedette_train.explain.stability import Steadiness, drawn_of, flips, summarise
from vedette_train.metrics import Interval

__all__ = ["film_of_steadiness", "steadiness_table", "write_steadiness", "write_summary"]


def write_steadiness(one: Steadiness, names: Sequence[str], directory: Path) -> None:
    """Write STEM.csv, a row a window, and STEM.png, the same over time.

    Args:
        one: from `measure`.
        names: the network's classes.
        directory: where to write.
    """
    right = one.right(names)
    rows = [
        (
            number,
            f"{time:.3f}",
            label,
            f"{row.max():.4f}",
            "" if right is None else int(right[index]),
            _figure(one.jitter[index]),
            _figure(one.kl_error[index]),
        )
        for index, (number, time, label, row) in enumerate(
            zip(one.frames, one.times, one.labels(names), one.probabilities, strict=True)
        )
    ]
    columns = ("frame", "time", "label", "confidence", "correct", "jitter", "kl_error")
    write_atomically(directory / f"{one.subject.stem}.csv", table_bytes(columns, rows))
    write_atomically(directory / f"{one.subject.stem}.png", _plot(one, names))


def write_summary(
    found: Sequence[Steadiness], names: Sequence[str], directory: Path
) -> dict[str, Interval | None]:
    """Write summary.json; return what it holds, from `summarise`."""
    summary = summarise(found, names)
    plain = {name: asdict(figure) if figure else None for name, figure in summary.items()}
    text = json.dumps({"videos": len(found), "drawn": drawn_of(found), **plain}, indent=2) + "\n"
    write_atomically(directory / "summary.json", text.encode())
    return summary


def steadiness_table(summary: Mapping[str, Interval | None], drawn: str) -> Table:
    """Return the summary for the terminal; `drawn` from `drawn_of`."""
    table = Table()
    for column in ("", "value", "95 % interval", drawn):
        table.add_column(column)
    for name, figure in summary.items():
        if figure is None:
            table.add_row(name.replace("_", " "), "not known", "", "")
            continue
        interval = f"{figure.low:.4g} to {figure.high:.4g}" if figure.samples > 1 else f"needs two {drawn}"
        table.add_row(name.replace("_", " "), f"{figure.value:.4g}", interval, str(figure.samples))
    return table


def film_of_steadiness(
    one: Steadiness, names: Sequence[str], path: Path, on_frame: Callable[[int, int], None] | None = None
) -> None:
    """Write the video with its label above each frame, and jitter and KL error below.

    Raises:
        VideoError: when the video cannot be read again.
        DataError: when the file cannot be written.
    """
    width = film_width(one.footage)
    labels = one.labels(names)
    curves = curve_strip(
        one.times,
        {"jitter": one.jitter.tolist(), "KL error": one.kl_error.tolist()},
        width=width,
        height=even(max(110, width / 5)),
        seconds=one.footage.seconds,
        title="nats",
        top=None,
    )

    def draw(frame: Frame) -> tuple[Image, Image]:
        # As on the device: what the last complete window says; before the first one, what that will say.
        window = max(0, int(np.searchsorted(one.times, frame.time, side="right")) - 1)
        texts = verdict(one.subject.truth, labels[window], float(one.probabilities[window].max()))
        return banner(width, texts), film_picture(frame)

    write_film(one.subject.path, path, one.footage, draw, curves, on_frame)


def _plot(one: Steadiness, names: Sequence[str]) -> bytes:
    """Draw confidence, with the windows that are wrong, and jitter and KL error over time; return a PNG."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    confidence = one.probabilities.max(axis=1)
    above.plot(one.times, confidence, color="tab:blue", marker=".", label="confidence")
    right = one.right(names)
    if right is not None and not all(right):
        wrong = ~np.array(right)
        above.plot(one.times[wrong], confidence[wrong], "o", color="tab:red", label="wrong label")
    above.set(ylim=(0, 1.03), ylabel="probability")
    turns = flips(one.labels(names))
    for number, index in enumerate(turns):
        for axes in (above, below):
            axes.axvline(
                one.times[index],
                color="0.6",
                linestyle=":",
                label="label flips" if number == 0 and axes is above else None,
            )
    below.plot(one.times, one.jitter, color="tab:orange", marker=".", label="jitter")
    below.plot(one.times, one.kl_error, color="tab:green", marker=".", label="KL error, one frame later")
    below.set(ylim=(0, None), xlabel="seconds", ylabel="nats")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    truth = f", true: {one.subject.truth}" if one.subject.truth else ""
    above.set_title(f"{one.subject.name}{truth}, {len(turns)} label flips")
    return png_of(figure)


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6f}"
