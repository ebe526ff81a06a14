"""Judges pictures with a detector, and writes what came of it: figures, plots, panels, overlays.

Scores, maps, pictures and pages all show the same map: the one without the border.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_edge.preprocess import seen_region
from vedette_edge.types import Box, FloatArray, Image
from vedette_train.anomaly.detectors import Detector
from vedette_train.anomaly.figures import auroc_interval, pixel_auroc, pro_score
from vedette_train.anomaly.folder import Picture, group_twins, scan_anomaly
from vedette_train.anomaly.images import as_tensor, read_image, read_mask
from vedette_train.anomaly.pictures import (
    draw_panel,
    encode_png,
    heat_colours,
    laid_over,
    map_on_picture,
    plot_roc,
)
from vedette_train.anomaly.recipe import AnomalyRecipe, PictureSettings
from vedette_train.anomaly.run import AnomalyRun, Calibration
from vedette_train.anomaly.threshold import Threshold
from vedette_train.console import log, progress
from vedette_train.metrics import confusion, share
from vedette_train.plots import plot_confusion
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE

__all__ = [
    "Judged",
    "Verdict",
    "evaluate_anomaly",
    "heat_pictures",
    "judge",
    "judge_image",
    "write_anomaly_report",
]

_LABELS = ("good", "bad")
_MAP_SIDE = 256  # pixels of the longer side at which maps and masks are compared


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detector says of one picture.

    Attributes:
        score: the higher, the worse.
        map: (h, w) float32, the detector's map without its border.
        region: the part of the picture that the map's cells divide evenly.
        size: height and width of the picture in pixels.
    """

    score: float
    map: FloatArray
    region: Box
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A test picture and what was said of it."""

    picture: Picture
    judged: Judged


def judge_image(detector: Detector, image: Image, recipe: AnomalyRecipe) -> Judged:
    """Judge one picture, (H, W, 3) uint8 BGR of any size; the detector must be in evaluation mode."""
    device = next(detector.parameters()).device
    tensor = torch.from_numpy(as_tensor(image, recipe.spec))[None].to(device)
    with torch.inference_mode():
        score, found = detector(tensor)
    drawn = found[0].float().cpu().numpy()
    height, width = image.shape[:2]
    seen = seen_region(width, height, recipe.spec)
    return Judged(
        float(score[0]), drawn, _without_border(seen, drawn.shape, recipe.anomaly.border), (height, width)
    )


def _without_border(seen: Box, inner: tuple[int, ...], border: int) -> Box:
    """Return the part of the picture under the inner cells of a grid that covers `seen`."""
    rows, columns = inner[0] + 2 * border, inner[1] + 2 * border
    return Box(
        seen.x + seen.w * border / columns,
        seen.y + seen.h * border / rows,
        seen.w * inner[1] / columns,
        seen.h * inner[0] / rows,
    )


def judge(
    detector: Detector,
    paths: Sequence[Path],
    recipe: AnomalyRecipe,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Judged]:
    """Judge files one after the other.

    Raises:
        DataError: when a picture cannot be read.
    """
    for index, path in enumerate(paths):
        yield judge_image(detector, read_image(path, recipe.data.input.white), recipe)
        on_progress(index + 1, len(paths))


def evaluate_anomaly(run: AnomalyRun, data: Path | None = None) -> list[Verdict]:
    """Judge all test pictures of a run's dataset.

    Args:
        run: a finished run.
        data: the dataset, where it is no longer where it was trained.

    Returns:
        A verdict for each readable picture, good ones first.

    Raises:
        DataError: when the dataset cannot be read, or too much of it is damaged.
    """
    detector, _ = run.detector()
    folder = scan_anomaly(data or Path(run.info.data_root))
    pictures: list[Picture] = []
    judged: list[Judged] = []
    damaged: list[str] = []
    with progress("judge") as on_progress:
        for index, picture in enumerate(folder.test):
            try:
                judged += judge(detector, [picture.path], run.recipe)
                pictures.append(picture)
            except DataError as error:
                damaged.append(str(error))
                log(f"left out: {error}", style="yellow")
            on_progress(index + 1, len(folder.test))
    most = run.recipe.data.max_unreadable
    if len(damaged) > most * len(folder.test) or len({picture.bad for picture in pictures}) < 2:
        raise DataError(
            f"{len(damaged)} of {len(folder.test)} test pictures cannot be used, more than "
            f"data.max_unreadable {most:.0%} lets pass; the first: {damaged[0]}"
        )
    groups = group_twins([picture.path for picture in pictures])
    return [
        Verdict(Picture(one.name, one.path, one.kind, one.mask, group), found)
        for one, group, found in zip(pictures, groups, judged, strict=True)
    ]


def write_anomaly_report(
    run: AnomalyRun, verdicts: Sequence[Verdict], threshold: Threshold | None = None
) -> None:
    """Write metrics.json, predictions.csv and the pictures of a run.

    Args:
        run: a finished run.
        verdicts: of the test pictures; without any, only the threshold is reported.
        threshold: as it was fitted; None keeps what metrics.json says of it.
    """
    _, calibration = run.detector()
    path = run.directory / METRICS_FILE
    if threshold:
        metrics: dict[str, Any] = {"threshold": asdict(threshold)}
    else:
        metrics = {"threshold": _kept_threshold(path, calibration)}
    if verdicts:
        metrics |= _figures(verdicts, calibration)
        _write_predictions(run.directory / PREDICTIONS_FILE, verdicts, calibration)
        _write_pictures(run, verdicts, calibration)
    write_atomically(path, (json.dumps(metrics, indent=2) + "\n").encode())


def _kept_threshold(path: Path, calibration: Calibration) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["threshold"]
    except (OSError, ValueError, KeyError, TypeError):
        return {"value": calibration.threshold}


def _figures(verdicts: Sequence[Verdict], calibration: Calibration) -> dict[str, Any]:
    bad = [verdict.picture.bad for verdict in verdicts]
    scores = [verdict.judged.score for verdict in verdicts]
    groups = [verdict.picture.group for verdict in verdicts]
    called = [score >= calibration.threshold for score in scores]
    counts = confusion([int(b) for b in bad], [int(c) for c in called], 2)
    figures: dict[str, Any] = {
        "pictures": {"good": bad.count(False), "bad": bad.count(True), "groups": len(set(groups))},
        "image_auroc": asdict(auroc_interval(bad, scores, groups)),
        "kinds": {
            kind: asdict(_of_kind(verdicts, kind))
            for kind in sorted({v.picture.kind for v in verdicts} - {"good"})
        },
        "found": asdict(share(int(counts[1, 1]), int(counts[1].sum()))),
        "passed": asdict(share(int(counts[0, 0]), int(counts[0].sum()))),
        "confusion": counts.tolist(),
    }
    return figures | _pixel_figures(verdicts)


def _of_kind(verdicts: Sequence[Verdict], kind: str) -> Any:
    chosen = [verdict for verdict in verdicts if verdict.picture.kind in ("good", kind)]
    return auroc_interval(
        [verdict.picture.bad for verdict in chosen],
        [verdict.judged.score for verdict in chosen],
        [verdict.picture.group for verdict in chosen],
    )


def _pixel_figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return pixel AUROC and PRO over good pictures and those with masks; at most 256 pixels a side."""
    maps: list[FloatArray] = []
    masks: list[np.ndarray] = []
    for verdict in verdicts:
        height, width = verdict.judged.size
        if verdict.picture.mask:
            mask = read_mask(verdict.picture.mask, height, width)
        elif verdict.picture.bad:
            continue
        else:
            mask = np.zeros((height, width), np.bool_)
        scale = min(1.0, _MAP_SIDE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        small = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
        masks.append(np.asarray(small > 0))
        maps.append(map_on_picture(verdict.judged.map, size, verdict.judged.region)[0])
    if not any(mask.any() for mask in masks):
        return {"pixel_auroc": None, "pro": None, "masks": 0}
    marked = sum(bool(mask.any()) for mask in masks)
    return {"pixel_auroc": pixel_auroc(maps, masks), "pro": pro_score(maps, masks), "masks": marked}


def _write_predictions(path: Path, verdicts: Sequence[Verdict], calibration: Calibration) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "kind", "group", "score", "relative", "predicted"))
    for verdict in verdicts:
        score = verdict.judged.score
        predicted = _LABELS[score >= calibration.threshold]
        picture = verdict.picture
        relative = relative_score(score, calibration)
        writer.writerow(
            (picture.name, picture.kind, picture.group, f"{score:.6g}", f"{relative:.4f}", predicted)
        )
    write_atomically(path, text.getvalue().encode())


def relative_score(score: float, calibration: Calibration) -> float:
    """Return a score for a reader: 1 is the threshold, 0 is zero or, if negative, the least map value."""
    zero = min(0.0, calibration.map_low)
    span = calibration.threshold - zero
    return (score - zero) / span if span > 0 else float(score >= calibration.threshold)


def heat_pictures(
    image: Image, judged: Judged, calibration: Calibration, settings: PictureSettings
) -> tuple[Image, Image]:
    """Return the map in colours and the picture with it laid over, both (H, W, 3) uint8 BGR.

    The overlay's colours end at the largest value of good maps, those of the map alone go three times as far,
    so that the worst place stands out.
    """
    drawn, seen = map_on_picture(judged.map, judged.size, judged.region)
    low, high = calibration.map_low, calibration.map_high
    alone = heat_colours(drawn, low, low + 3 * (high - low), settings.colormap)
    return alone, laid_over(image, heat_colours(drawn, low, high, settings.colormap), seen, settings.alpha)


def _write_pictures(run: AnomalyRun, verdicts: Sequence[Verdict], calibration: Calibration) -> None:
    settings = run.recipe.pictures
    bad = [verdict.picture.bad for verdict in verdicts]
    scores = [verdict.judged.score for verdict in verdicts]
    called = [int(score >= calibration.threshold) for score in scores]
    counts = confusion([int(b) for b in bad], called, 2)
    plot_confusion(
        counts, _LABELS, f"at threshold {calibration.threshold:.4g}", run.directory / "confusion.png"
    )
    area = auroc_interval(bad, scores, [verdict.picture.group for verdict in verdicts])
    plot_roc(bad, scores, f"AUROC {area}", calibration.threshold, run.directory / "roc.png")
    shown = {id(verdict) for verdict in _in_turn(verdicts)[: settings.panels]}
    with progress("draw") as on_progress:
        for index, verdict in enumerate(verdicts):
            if settings.overlays or id(verdict) in shown:
                _draw(run, verdict, calibration, panel=id(verdict) in shown)
            on_progress(index + 1, len(verdicts))


def _draw(run: AnomalyRun, verdict: Verdict, calibration: Calibration, *, panel: bool) -> None:
    settings, picture = run.recipe.pictures, verdict.picture
    image = read_image(picture.path, run.recipe.data.input.white)
    alone, over = heat_pictures(image, verdict.judged, calibration, settings)
    name = picture.name.replace("/", "_").rpartition(".")[0]
    if settings.overlays:
        folder = run.directory / "overlays"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"{name}.png", encode_png(over))
    if panel:
        folder = run.directory / "panels"
        folder.mkdir(exist_ok=True)
        parts = [("picture", image), ("anomaly map", alone), ("overlay", over)]
        if picture.mask:
            mask = read_mask(picture.mask, *verdict.judged.size).astype(np.uint8) * 255
            parts.append(("marked by hand", np.repeat(mask[:, :, np.newaxis], 3, axis=2)))
        relative = relative_score(verdict.judged.score, calibration)
        title = f"{picture.name}: {picture.kind}, score {relative:.2f} (1 is the threshold)"
        draw_panel(parts, title, settings, folder / f"{name}.png")


def _in_turn(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return good and bad verdicts in turn."""
    good = [verdict for verdict in verdicts if not verdict.picture.bad]
    bad = [verdict for verdict in verdicts if verdict.picture.bad]
    return [verdict for pair in zip_longest(bad, good) for verdict in pair if verdict]
