"""Pictures of anomaly detection: heatmaps, panels, losses, the ROC curve.

Everything shows the detector's map without its border; outside of it nothing is coloured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from vedette_edge.errors import ConfigError
from vedette_edge.files import write_atomically
from vedette_edge.heatmap import lay_over
from vedette_edge.types import Box, FloatArray, Image
from vedette_train.anomaly.recipe import PictureSettings

__all__ = [
    "draw_panel",
    "encode_png",
    "heat_colours",
    "laid_over",
    "map_on_picture",
    "plot_losses",
    "plot_roc",
]


def map_on_picture(found: FloatArray, size: tuple[int, int], region: Box) -> tuple[FloatArray, np.ndarray]:
    """Enlarge a map to a picture.

    Args:
        found: (h, w) float32.
        size: height and width to draw at.
        region: the part of the picture that the map's cells divide evenly; it may reach beyond the picture.

    Returns:
        (H, W) float32 with the map's least value where it says nothing, and (H, W) bool, True where it does.
    """
    height, width = size
    drawn, _ = lay_over(found, region, width, height)
    seen = np.zeros((height, width), np.bool_)
    left, top = max(0, round(region.x * width)), max(0, round(region.y * height))
    seen[top : round((region.y + region.h) * height), left : round((region.x + region.w) * width)] = True
    return np.where(seen, drawn, found.min()).astype(np.float32), seen


def heat_colours(drawn: FloatArray, low: float, high: float, colormap: str) -> Image:
    """Return a map in colours, (H, W, 3) uint8 BGR: `low` darkest, `high` brightest.

    Raises:
        ConfigError: when matplotlib has no such colormap.
    """
    if colormap not in matplotlib.colormaps:
        raise ConfigError(
            f"pictures.colormap: matplotlib has no '{colormap}'; magma, viridis and turbo are usual"
        )
    scaled = np.clip((drawn - low) / max(high - low, 1e-12), 0, 1)
    rgba = matplotlib.colormaps[colormap](scaled, bytes=True)
    return np.ascontiguousarray(rgba[:, :, 2::-1], dtype=np.uint8)


def laid_over(image: Image, colours: Image, seen: np.ndarray, alpha: float) -> Image:
    """Return the picture with the colours laid over it where the map speaks.

    Args:
        image: (H, W, 3) uint8 BGR.
        colours: (H, W, 3) uint8 BGR from `heat_colours`.
        seen: (H, W) bool from `map_on_picture`.
        alpha: opacity, 0..1.
    """
    opacity = (np.float32(alpha) * seen.astype(np.float32))[:, :, np.newaxis]
    return np.asarray((image * (1 - opacity) + colours * opacity).round(), dtype=np.uint8)


def encode_png(image: Image) -> bytes:
    """Return (H, W, 3) uint8 BGR as PNG."""
    return cv2.imencode(".png", image)[1].tobytes()


def draw_panel(parts: Sequence[tuple[str, Image]], title: str, settings: PictureSettings, path: Path) -> None:
    """Draw pictures side by side, each under its name.

    Args:
        parts: name and (H, W, 3) uint8 BGR.
        title: above them.
        settings: size and resolution.
        path: the PNG.
    """
    figure = Figure(figsize=settings.figure_size, layout="constrained")
    for axes, (name, image) in zip(np.atleast_1d(figure.subplots(1, len(parts))), parts, strict=True):
        axes.imshow(image[:, :, ::-1])
        axes.set_title(name)
        axes.axis("off")
    figure.suptitle(title)
    _save(figure, path, dpi=settings.dpi)


def plot_losses(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the loss over epochs, of training and held-out pictures.

    Args:
        history: `train_loss` and `val_loss`, one value an epoch.
        path: the PNG.
    """
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for column, label, style in (("train_loss", "train", "--"), ("val_loss", "held out", "-")):
        values = history[column]
        axes.plot(range(1, len(values) + 1), values, style, label=label, marker="o", markersize=3)
    axes.set(title="loss", xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def plot_roc(bad: Sequence[bool], scores: Sequence[float], title: str, threshold: float, path: Path) -> None:
    """Draw the ROC curve of the pictures, and the threshold's place on it.

    Args:
        bad: whether each picture is bad.
        scores: of each picture.
        title: above the curve.
        threshold: the score from which on a picture is called bad.
        path: the PNG.
    """
    truth, values = np.asarray(bad, bool), np.asarray(scores)
    false_alarms, found, _ = roc_curve(truth, values)
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(false_alarms, found)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    called = values >= threshold
    axes.plot([called[~truth].mean()], [called[truth].mean()], "o", label="threshold")
    axes.set(title=title, xlabel="good pictures called bad", ylabel="bad pictures found")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    _save(figure, path)


def _save(figure: Figure, path: Path, *, dpi: int = 130) -> None:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"font.size": 9}):
        figure.savefig(buffer, format="png", dpi=dpi)
    write_atomically(path, buffer.getvalue())
