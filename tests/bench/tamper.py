"""What tamper detection finds and misses on real footage: `python tests/bench/tamper.py`.

Each video of a fixed camera is played forth and back until it is 60 s long, so that nothing jumps. From
second 30 on it is tampered with, with the noise of a sensor over it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from footage import DATA, on_footage
from numpy.typing import NDArray

from vedette_edge.config.gate import TamperConfig
from vedette_edge.tamper import TamperChange, TamperDetector
from vedette_edge.types import Frame, Image
from vedette_edge.video import read_frames

__all__ = ["BENIGN", "TAMPERINGS", "changes_of", "played", "run", "tampered"]

_SECONDS, _FROM, _FPS = 60.0, 30.0, 5.0

Change = Callable[[Image, float], Image]
"""A picture as it becomes, given the seconds since the change began."""


def played(frames: Sequence[Frame], seconds: float = _SECONDS, fps: float = _FPS) -> Iterator[Frame]:
    """Yield a video forth and back, at about 5 frames a second, until the time is full."""
    step = max(1, round((len(frames) - 1) / frames[-1].time / fps))
    images = [frame.image for frame in frames[::step]]
    cycle = images + images[-2:0:-1]
    for number in range(round(seconds * fps)):
        yield Frame(cycle[number % len(cycle)], number / fps)


def tampered(frames: Iterator[Frame], change: Change, start: float = _FROM) -> Iterator[Frame]:
    """Yield frames that are changed from `start` on."""
    for frame in frames:
        late = frame.time >= start
        yield Frame(change(frame.image, frame.time - start), frame.time) if late else frame


def changes_of(frames: Iterator[Frame]) -> list[TamperChange]:
    """Return what a detector says of a stream, but for its end."""
    detector = TamperDetector(TamperConfig())
    return [change for frame in frames for change in detector.push(frame)]


def _noisy(image: NDArray[np.generic], time: float) -> Image:
    rng = np.random.default_rng(round(time * 1000))
    noise = rng.normal(0.0, 1.5, image.shape)
    return np.clip(image.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def _shifted(share: float) -> Change:
    def change(image: Image, time: float) -> Image:
        height, width = image.shape[:2]
        by = np.array([[1, 0, share * width], [0, 1, share * height / 2]])
        moved = cv2.warpAffine(image, by, (width, height), borderMode=cv2.BORDER_REFLECT)
        return _noisy(moved, time)

    return change


def _turned(degrees: float) -> Change:
    def change(image: Image, time: float) -> Image:
        height, width = image.shape[:2]
        by = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return _noisy(cv2.warpAffine(image, by, (width, height), borderMode=cv2.BORDER_REFLECT), time)

    return change


def _blurred(share: float) -> Change:
    return lambda image, time: _noisy(cv2.GaussianBlur(image, (0, 0), share * image.shape[1]), time)


def _cloth(image: Image, time: float) -> Image:
    """A hand or cloth at the lens: dim, and without detail."""
    ramp = np.linspace(60, 100, image.shape[1], dtype=np.float32)
    return _noisy(np.broadcast_to(ramp[np.newaxis, :, np.newaxis], image.shape), time)


def _dimmed(level: float, seconds: float) -> Change:
    """Lights that go to `level` within `seconds`, and after 15 s back on again as gently."""

    def change(image: Image, time: float) -> Image:
        down = np.interp(time, [0, seconds, 15, 15 + seconds], [1, level, level, 1])
        return _noisy(image * down, time)

    return change


def _freezer() -> Change:
    kept: list[Image] = []

    def change(image: Image, _: float) -> Image:
        kept.append(image)
        return kept[0]

    return change


TAMPERINGS: dict[str, tuple[str, Callable[[], Change]]] = {
    "covered, black": ("covered", lambda: lambda image, time: _noisy(image * 0, time)),
    "covered, cloth": ("covered", lambda: _cloth),
    "moved by 4 %": ("moved", lambda: _shifted(0.04)),
    "moved by 8 %": ("moved", lambda: _shifted(0.08)),
    "moved by 20 %": ("moved", lambda: _shifted(0.20)),
    "turned by 10 degrees": ("moved", lambda: _turned(10)),
    "blurred, sigma 0.5 % of the width": ("defocused", lambda: _blurred(0.005)),
    "blurred, sigma 1 %": ("defocused", lambda: _blurred(0.01)),
    "blurred, sigma 2 %": ("defocused", lambda: _blurred(0.02)),
    "frozen": ("frozen", _freezer),
}
"""What a change is called, by its description."""

BENIGN: dict[str, Callable[[], Change]] = {
    "nothing": lambda: lambda image, _: image,
    "lights to 30 % and back, 10 s each": lambda: _dimmed(0.3, 10.0),
    "lights to 10 % and back, 10 s each": lambda: _dimmed(0.1, 10.0),
    "lights to 10 % and back, at once": lambda: _dimmed(0.1, 0.2),
    "moved by 0.5 %": lambda: _shifted(0.005),
}


def run(data: Path = DATA / "surveillance") -> Iterator[str]:
    """Yield a line a change of the picture."""
    videos = [list(read_frames(video)) for video in sorted(data.iterdir())]
    for name, make in BENIGN.items():
        found = [changes_of(tampered(played(video), make())) for video in videos]
        yield f"{name}: {sum(map(bool, found))} of {len(videos)} videos with a false alarm"
    for video in videos:
        found_once = changes_of(iter(video))
        yield f"as it is, {video[-1].time:.0f} s: {len(found_once)} changes"
    for name, (kind, make) in TAMPERINGS.items():
        firsts = [next(iter(changes_of(tampered(played(video), make()))), None) for video in videos]
        delays = [f"{one.time - _FROM:.1f}" for one in firsts if one]
        right = sum(one is not None and one.kind == kind for one in firsts)
        told = [one.kind if one else "-" for one in firsts]
        yield f"{name}: {len(delays)} of {len(videos)} found, {right} as {kind}; s: {delays}; {told}"


if __name__ == "__main__":
    sys.exit(on_footage(run))
