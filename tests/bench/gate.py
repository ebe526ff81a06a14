"""What the motion gate misses and saves on real footage: `python tests/bench/gate.py`.

Each clip is preceded by 12 s of its own first picture with camera noise, long enough for the gate to close,
so that it must open for the clip. A clip is covered when its very first frame is judged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from footage import DATA, on_footage
from tamper import played

from vedette_edge.config.gate import GateConfig
from vedette_edge.gate import MotionGate
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

__all__ = ["Passage", "after_idle", "run", "watch"]

_IDLE, _FPS, _NOISE = 12.0, 12.5, 2
_SETTLED = 6.0  # seconds after which the gate should have closed


@dataclass(frozen=True, slots=True)
class Passage:
    """What a gate did with a stream: (time of the frame, times of the frames let through then)."""

    steps: list[tuple[float, list[float]]]

    def first_judged(self, start: float) -> float | None:
        """Return the time of the first frame let through from `start` on, and of the preroll it brought."""
        return next((passed[0] for time, passed in self.steps if time >= start and passed), None)

    def opened(self, start: float) -> float | None:
        """Return when, from `start` on, a frame was first let through."""
        return next((time for time, passed in self.steps if time >= start and passed), None)

    def closed_share(self, start: float, end: float) -> float:
        """Return the share of frames in [start, end) that were never judged."""
        inside = {time for time, _ in self.steps if start <= time < end}
        judged = {time for _, passed in self.steps for time in passed}
        return len(inside - judged) / len(inside)


def watch(frames: Iterable[Frame], config: GateConfig) -> Passage:
    """Run a gate over a stream."""
    gate = MotionGate(config)
    return Passage([(frame.time, [one.time for one in gate.push(frame).frames]) for frame in frames])


def after_idle(clip: list[Frame], seconds: float = _IDLE, seed: int = 0) -> Iterator[Frame]:
    """Yield a clip after that many seconds of its first picture, with noise of up to 2 grey levels."""
    rng = np.random.default_rng(seed)
    still = clip[0].image.astype(np.int16)
    for number in range(round(seconds * _FPS)):
        noise = rng.integers(-_NOISE, _NOISE + 1, still.shape, dtype=np.int16)
        yield Frame(np.clip(still + noise, 0, 255).astype(np.uint8), number / _FPS)
    for frame in clip:
        yield Frame(frame.image, frame.time + seconds)


def run(data: Path = DATA) -> Iterator[str]:
    """Yield a line a set of clips, then one a video of a fixed camera."""
    config = GateConfig()
    for name in ("violence", "actions"):
        clips = sorted((data / name).glob("*/*.mp4"))
        passages = [watch(after_idle(list(read_frames(clip))), config) for clip in clips]
        firsts = [passage.first_judged(_IDLE) for passage in passages]
        delays = [when - _IDLE for one in passages if (when := one.opened(_IDLE)) is not None]
        idle = np.mean([one.closed_share(_SETTLED, _IDLE - config.preroll) for one in passages])
        late = [
            f"{clip.parent.name}/{clip.name}"
            for clip, first in zip(clips, firsts, strict=True)
            if first is None or first > _IDLE
        ]
        p50, p95, most = np.percentile(delays, [50, 95, 100])
        yield (
            f"{name}: {len(clips) - len(late)} of {len(clips)} covered from their first frame on, "
            f"not: {late}; opens after {p50:.2f} s (p95 {p95:.2f}, most {most:.2f}); "
            f"{idle:.1%} of idle frames saved"
        )
    corridor = list(played(list(read_frames(data / "violence" / "NonFight" / "nofi076.mp4")), 60.0, 25.0))
    yield f"an empty corridor, 60 s: {watch(corridor, config).closed_share(0.0, 60.0):.1%} saved"
    for video in sorted((data / "surveillance").iterdir()):
        frames = list(read_frames(video))
        share = watch(frames, config).closed_share(0.0, frames[-1].time + 1)
        yield f"{video.name}: {len(frames)} frames, {share:.1%} saved"


if __name__ == "__main__":
    sys.exit(on_footage(run))
