"""Pieces of pictures: text, banners, colour bars, curves over time. All images are (H, W, 3) uint8 BGR."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from vedette_edge.types import Image
from vedette_train.explain.view import Times

__all__ = [
    "CurveStrip",
    "Text",
    "banner",
    "curve_strip",
    "enlarged",
    "even",
    "letters",
    "png_of",
    "strip",
    "verdict",
]

BACKGROUND = 24  # grey
WHITE = (235, 235, 235)
GREY = (160, 160, 160)
GREEN = (90, 220, 120)
RED = (70, 90, 255)
_DPI = 100
_LEAST = 9  # pixels of the smallest letters
_LEGEND = 24  # letters


class Text(NamedTuple):
    """Words in one colour (BGR)."""

    words: str
    colour: tuple[int, int, int] = WHITE


@dataclass(frozen=True, slots=True)
class CurveStrip:
    """A picture of curves over time, and where a moment lies on it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        left: column of time 0, pixels.
        right: column of the end, pixels.
        top: row where the axes begin, pixels.
        bottom: row where they end, pixels.
        seconds: time of the end.
    """

    image: Image
    left: float
    right: float
    top: int
    bottom: int
    seconds: float

    def at(self, time: float) -> Image:
        """Return the picture with a line at `time`, seconds."""
        share = min(1.0, max(0.0, time / self.seconds)) if self.seconds > 0 else 0.0
        x = round(self.left + share * (self.right - self.left))
        picture = self.image.copy()
        cv2.line(picture, (x, self.top), (x, self.bottom), WHITE, 2, cv2.LINE_AA)
        return picture


def verdict(truth: str | None, predicted: str, probability: float) -> list[Text]:
    """Return what is true and what is predicted: green where they agree, red where they do not."""
    guess = Text(f"PRED {predicted} {probability:.2f}", colour_of(truth, predicted))
    return [guess] if truth is None else [Text(f"TRUE {truth}"), guess]


def colour_of(truth: str | None, predicted: str) -> tuple[int, int, int]:
    """Return the colour of a prediction: green where it is right, red where it is wrong, else white."""
    return WHITE if truth is None else GREEN if truth == predicted else RED


def strip(width: int, height: int, texts: Sequence[Text], *, size: int, to_right: bool = False) -> Image:
    """Return a dark strip with texts from left to right, in smaller letters where they would not fit.

    Args:
        width: pixels.
        height: pixels.
        texts: what to write.
        size: of the letters, pixels.
        to_right: let the last text end at the right edge.
    """
    gap = size
    while size > _LEAST and _width(texts, size, gap) > width:
        size, gap = size - 1, max(4, gap - 1)
    needed = _width(texts, size, gap)
    # Where the smallest letters are too wide, they are squeezed: no label may be cut off.
    room = max(width, math.ceil(needed))
    canvas = Pillow.fromarray(np.full((height, room, 3), BACKGROUND, np.uint8))
    draw = ImageDraw.Draw(canvas)
    x = gap / 2 + (room - needed if to_right else 0)
    for text in texts:
        draw.text((x, height / 2), text.words, fill=text.colour, font=_font(size), anchor="lm")
        x += _font(size).getlength(text.words) + gap
    image = np.array(canvas, dtype=np.uint8)
    if room > width:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image


def banner(width: int, texts: Sequence[Text], shown: str | None = None) -> Image:
    """Return the strip above a picture: a verdict, and the scale of its map where it has one.

    Args:
        width: pixels.
        texts: from `verdict`.
        shown: the class that the map speaks of.
    """
    size = letters(width)
    height = even(2 * size)
    if shown is None:
        return strip(width, height, texts, size=size)
    bar = max(40, width // 10)
    room = round(0.55 * width)
    words = [Text(f"evidence for {shown}", GREY)]
    legend = strip(width - room - bar - size // 2, height, words, size=size, to_right=True)
    scale = np.full((height, bar + size // 2, 3), BACKGROUND, np.uint8)
    ramp = np.tile(np.linspace(0, 255, bar).astype(np.uint8), (size, 1))
    top = (height - size) // 2
    scale[top : top + size, :bar] = cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)
    return np.hstack([strip(room, height, texts, size=size), legend, scale])


def letters(width: int) -> int:
    """Return the size of the letters that a picture of this width bears, pixels."""
    return min(28, max(13, width // 42))


def even(size: float) -> int:
    """Return the nearest even number from below, at least 2: video encoders want no other sides."""
    return max(2, 2 * int(size // 2))


def enlarged(image: Image, factor: int) -> Image:
    """Return the picture with each side `factor` times as long."""
    if factor == 1:
        return image
    bigger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(bigger, dtype=np.uint8)


def curve_strip(
    times: Times,
    curves: Mapping[str, Sequence[float]],
    *,
    width: int,
    height: int,
    seconds: float,
    title: str,
    top: float | None = 1.0,
) -> CurveStrip:
    """Draw curves over the time of a video.

    Args:
        times: (N,) seconds.
        curves: N values each; the first is drawn boldest.
        width: pixels.
        height: pixels.
        seconds: length of the time axis.
        title: of the vertical axis.
        top: where the vertical axis ends; None: a little above the curves.
    """
    size = letters(width) * 72 / _DPI
    with matplotlib.rc_context({"font.size": 0.85 * size, "axes.linewidth": 0.6}):
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
        background = f"#{BACKGROUND:02x}{BACKGROUND:02x}{BACKGROUND:02x}"
        figure.set_facecolor(background)
        axes = figure.subplots()
        axes.set_facecolor(background)
        marker = "o" if len(times) < 3 else None
        for number, (name, values) in enumerate(curves.items()):
            axes.plot(times, values, label=_short(name), linewidth=2.0 if number == 0 else 1.2, marker=marker)
        axes.set(xlim=(0, max(seconds, 1e-3)), ylim=(0, top and 1.02 * top))
        axes.set_ylabel(title, color="white")
        axes.xaxis.set_major_locator(MaxNLocator(max(3, width // 80), prune="upper"))
        axes.xaxis.set_major_formatter("{x:g} s")
        axes.yaxis.set_major_locator(FixedLocator([0, top / 2, top]) if top else MaxNLocator(2))
        axes.tick_params(colors="white", width=0.6)
        axes.grid(alpha=0.25)
        figure.legend(loc="outside right center", labelcolor="white", frameon=False, handlelength=1.2)
        drawn = np.frombuffer(png_of(figure), np.uint8)
    box = axes.get_window_extent()
    return CurveStrip(
        np.asarray(cv2.imdecode(drawn, cv2.IMREAD_COLOR), dtype=np.uint8),
        box.x0,
        box.x1,
        round(height - box.y1),
        round(height - box.y0),
        seconds,
    )


def png_of(figure: Figure, dpi: int = _DPI) -> bytes:
    """Return a figure as PNG of so many pixels an inch."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _width(texts: Sequence[Text], size: int, gap: int) -> float:
    return sum(_font(size).getlength(text.words) + gap for text in texts)


def _short(name: str) -> str:
    """Leave room for the curves beside their legend; the banner has the whole name."""
    return name if len(name) <= _LEGEND else f"{name[: _LEGEND - 1]}…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # The font that comes with matplotlib: OpenCV's own knows ASCII only.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
