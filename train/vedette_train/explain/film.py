"""Videos and stills with the network's evidence laid over the original pictures.

A film has the pictures of its source, each one, at the source's mean frame rate; a strip above says what is
true and what is predicted, a strip below draws the scores with a line at the moment. Pictures narrower than
`_LEAST_WIDTH` are enlarged by a whole factor, so that the text can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from vedette_edge.files import write_atomically
from vedette_edge.heatmap import overlay
from vedette_edge.manifest import InputSpec
from vedette_edge.types import Frame, Image
from vedette_edge.video import read_frames
from vedette_train.data.synthetic.encode import write_video
from vedette_train.explain.drawing import (
    BACKGROUND,
    GREY,
    CurveStrip,
    Text,
    banner,
    colour_of,
    curve_strip,
    enlarged,
    even,
    strip,
    verdict,
)
from vedette_train.explain.moments import Moments
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import Footage, Times, View

__all__ = ["film_of_view", "film_picture", "film_width", "sheet_of_view", "write_film"]

_LEAST_WIDTH = 400
_CURVES = 4
_STILL_WIDTH = 300
_STILLS = 5
_GAP = 4


def film_of_view(
    subject: Subject,
    view: View,
    spec: InputSpec,
    labels: Sequence[str],
    path: Path,
    on_frame: Callable[[int, int], None] | None = None,
) -> None:
    """Write the video of a view, its evidence laid over each frame.

    Args:
        subject: the video.
        view: of that video.
        spec: the network's input.
        labels: the network's classes.
        path: the mp4.
        on_frame: called with (frames written, frames).

    Raises:
        VideoError: when the video cannot be read again.
        DataError: when the file cannot be written.
    """
    moments = Moments(view, spec)
    factor = _factor(view.footage.width)
    width = even(view.footage.width * factor)
    curves = _scores(view, labels, subject.truth, width)

    def draw(frame: Frame) -> tuple[Image, Image]:
        window = moments.window(frame.time)
        best = int(view.probabilities[window].argmax())
        texts = verdict(subject.truth, labels[best], float(view.probabilities[window, best]))
        above = banner(width, texts, labels[view.shown[window]])
        picture = overlay(
            enlarged(frame.image, factor), moments.evidence(frame.time), moments.region, seen=moments.seen
        )
        return above, picture

    write_film(subject.path, path, view.footage, draw, curves, on_frame)


def write_film(
    source: Path,
    path: Path,
    footage: Footage,
    draw: Callable[[Frame], tuple[Image, Image]],
    curves: CurveStrip,
    on_frame: Callable[[int, int], None] | None = None,
) -> None:
    """Write a video: for each frame of `source` a banner, a picture, and the curves with their moment.

    Args:
        source: the video.
        path: the mp4.
        footage: of the source.
        draw: returns banner and picture; both are cut to an even width.
        curves: what stands below.
        on_frame: called with (frames written, frames).

    Raises:
        VideoError: when the source cannot be read.
        DataError: when the file cannot be written.
    """

    def canvases() -> Iterator[Image]:
        for done, frame in enumerate(read_frames(source, footage.fps), start=1):
            above, picture = draw(frame)
            picture = picture[: even(picture.shape[0]), : even(picture.shape[1])]
            yield np.vstack([above, picture, curves.at(frame.time)])
            if on_frame:
                on_frame(done, footage.frames)

    factor = _factor(footage.width)
    width, height = even(footage.width * factor), even(footage.height * factor)
    above = banner(width, []).shape[0]
    total = above + height + curves.image.shape[0]
    write_video(path, canvases(), size=(width, total), fps=footage.fps)


def film_width(footage: Footage) -> int:
    """Return the width of a film of this footage, pixels."""
    return even(footage.width * _factor(footage.width))


def film_picture(frame: Frame) -> Image:
    """Return a frame at the size that it has in a film."""
    return enlarged(frame.image, _factor(frame.image.shape[1]))


def sheet_of_view(subject: Subject, view: View, spec: InputSpec, labels: Sequence[str], path: Path) -> None:
    """Write a PNG of several moments of a view: above the picture, below it with the evidence.

    Raises:
        VideoError: when the video cannot be read again.
    """
    moments = Moments(view, spec)
    chosen = _spread(len(view.times), _STILLS)
    frames = _frames_at(subject.path, view.footage.fps, view.middles[chosen])
    columns = [
        _still(frame, view, window, moments, labels, subject.truth)
        for frame, window in zip(frames, chosen, strict=True)
    ]
    gap = _blank(columns[0].shape[0], _GAP)
    body = np.hstack([piece for column in columns for piece in (gap, column)] + [gap])
    best = int(view.mean.argmax())
    head = [Text(subject.name), *verdict(subject.truth, labels[best], float(view.mean[best]))]
    sheet = np.vstack([strip(body.shape[1], 40, head, size=18), body, _blank(_GAP, body.shape[1])])
    write_atomically(path, cv2.imencode(".png", sheet)[1].tobytes())


def _still(
    frame: Frame, view: View, window: int, moments: Moments, labels: Sequence[str], truth: str | None
) -> Image:
    height = round(_STILL_WIDTH * frame.image.shape[0] / frame.image.shape[1])
    picture = np.asarray(
        cv2.resize(frame.image, (_STILL_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8
    )
    over = overlay(picture, moments.evidence(frame.time), moments.region, seen=moments.seen)
    best = int(view.probabilities[window].argmax())
    score = f"{labels[best]} {view.probabilities[window, best]:.2f}"
    if view.shown[window] != best:
        score += f", map of {labels[view.shown[window]]}"
    start, end = view.times[window, [0, -1]]
    above = strip(_STILL_WIDTH, 26, [Text(f"{start:.1f} to {end:.1f} s", GREY)], size=14)
    below = strip(_STILL_WIDTH, 26, [Text(score, colour_of(truth, labels[best]))], size=14)
    return np.vstack([above, picture, _blank(_GAP, _STILL_WIDTH), over, below])


def _scores(view: View, labels: Sequence[str], truth: str | None, width: int) -> CurveStrip:
    """Draw the probabilities of the strongest classes and the true one over time."""
    strongest = [labels[index] for index in np.argsort(-view.mean)[:_CURVES]]
    if truth is not None:
        strongest = [truth, *(label for label in strongest if label != truth)][:_CURVES]
    columns = {label: view.probabilities[:, labels.index(label)].tolist() for label in strongest}
    height = even(max(110, width / 5))
    return curve_strip(
        view.middles, columns, width=width, height=height, seconds=view.footage.seconds, title="probability"
    )


def _factor(width: int) -> int:
    return max(1, -(-_LEAST_WIDTH // width))


def _spread(count: int, most: int) -> list[int]:
    """Return up to `most` numbers below `count`, evenly spread from the first to the last."""
    return sorted({round(number) for number in np.linspace(0, count - 1, min(count, most))})


def _frames_at(path: Path, fps: float, times: Times) -> list[Frame]:
    """Return the first frame at or after each of the times, which rise; else the last frame."""
    found: list[Frame] = []
    last: Frame | None = None
    for last in read_frames(path, fps):
        while len(found) < len(times) and last.time >= times[len(found)] - 1e-6:
            found.append(last)
        if len(found) == len(times):
            break
    assert last is not None
    return found + [last] * (len(times) - len(found))


def _blank(height: int, width: int) -> Image:
    return np.full((height, width, 3), BACKGROUND, np.uint8)
