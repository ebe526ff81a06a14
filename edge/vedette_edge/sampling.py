"""From a stream of timed items to clips: sampling by time, windows, gaps. Pure; no clock, no images.

A model wants `frames` samples at `fps` of the stream's own time, whatever the camera's frame rate is,
even when it varies. The rules, in order:

1. Ticks lie at t0, t0 + 1/fps, t0 + 2/fps, ...; t0 is the time of the first item.
2. The item of a tick is the first one at or after it. An item that passes several ticks stands for each.
3. An item more than `max_gap` seconds after the one before it, or earlier than it, starts anew: a clip
   never spans a gap.
4. A clip is complete after `frames` samples, and again each `hop` samples after that.
5. A stream that ends before its first clip is padded with its last item, so a short file has one clip.

Training, evaluation, parity proof and the device all use this module, so they see the same clips.

>>> sampler = ClipSampler(frames=2, hop=2, fps=1.0)
>>> [clip.items for t in range(5) for clip in sampler.push(float(t), f"frame {t}")]
[('frame 0', 'frame 1'), ('frame 2', 'frame 3')]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Clip", "ClipSampler", "Demand", "TickSampler", "sample_clips"]

T = TypeVar("T")

DEFAULT_MAX_GAP = 2.0
_LEAST_RATE = 2.0  # per second
_ROUNDING = 1e-6  # seconds; time stamps come from containers with rational time bases


@dataclass(frozen=True, slots=True)
class Clip(Generic[T]):
    """A run of samples.

    Attributes:
        items: `frames` samples, oldest first.
        start: time of the first sample, seconds.
        end: time of the last sample, seconds.
    """

    items: tuple[T, ...]
    start: float
    end: float

    @property
    def middle(self) -> float:
        """The time that the clip's label speaks of, seconds."""
        return (self.start + self.end) / 2


class TickSampler:
    """Says how many ticks each item of a stream stands for (rules 1 to 3)."""

    def __init__(self, fps: float, max_gap: float = DEFAULT_MAX_GAP) -> None:
        """Sample at `fps` per second; start anew after a gap of more than `max_gap` seconds."""
        if fps <= 0 or max_gap <= 0:
            raise ValueError(f"fps and max_gap must be positive, got {fps} and {max_gap}")
        self._fps = fps
        self._max_gap = max_gap
        self._origin: float | None = None
        self._ticks = 0
        self._last = 0.0

    def push(self, time: float) -> tuple[int, bool]:
        """Return (ticks that the item at `time` stands for, whether the stream started anew)."""
        anew = self._origin is None or not 0 <= time - self._last <= self._max_gap
        if anew:
            self._origin, self._ticks = time, 0
        assert self._origin is not None
        self._last = time
        passed = int((time - self._origin + _ROUNDING) * self._fps) + 1 - self._ticks
        self._ticks += passed
        return passed, anew


class Demand:
    """Says which items of a stream a sampler of one of several rates takes: the others need not be made.

    Such a sampler takes the same items of those that are left, as long as none follows another after more
    than 1.5 seconds.
    """

    def __init__(self, rates: Collection[float] = ()) -> None:
        """Ask for what is sampled at `rates` per second; without one, for all."""
        # Twice a second at least, so that nobody takes what is left out for a gap, or for a stall.
        self._samplers = [TickSampler(rate) for rate in {_LEAST_RATE, *rates}] if rates else []
        self.seen = 0

    def __call__(self, time: float) -> bool:
        """Tell whether the next item, at `time`, is asked for."""
        self.seen += 1
        if not self._samplers:
            return True
        taken = [sampler.push(time)[0] > 0 for sampler in self._samplers]
        return any(taken)


class ClipSampler(Generic[T]):
    """Collects samples into overlapping clips (rules 1 to 5)."""

    def __init__(self, frames: int, hop: int, fps: float, max_gap: float = DEFAULT_MAX_GAP) -> None:
        """Make clips of `frames` samples at `fps` per second, a new one each `hop` samples."""
        if frames < 1 or hop < 1:
            raise ValueError(f"frames and hop must be at least 1, got {frames} and {hop}")
        self._frames = frames
        self._hop = hop
        self._ticks = TickSampler(fps, max_gap)
        self._window: deque[tuple[float, T]] = deque(maxlen=frames)
        self._until_next = frames
        self._emitted = False

    def push(self, time: float, item: T) -> list[Clip[T]]:
        """Take one item; return the clips that it completes (mostly none or one)."""
        ticks, anew = self._ticks.push(time)
        if anew:
            self._window.clear()
            self._until_next = self._frames
        return [clip for _ in range(ticks) for clip in self._append(time, item)]

    def finish(self) -> list[Clip[T]]:
        """End the stream; return its one padded clip if it was too short for any."""
        if self._emitted or not self._window:
            return []
        time, item = self._window[-1]
        clips: list[Clip[T]] = []
        while not clips:
            clips = self._append(time, item)
        return clips

    def _append(self, time: float, item: T) -> list[Clip[T]]:
        self._window.append((time, item))
        self._until_next -= 1
        if self._until_next:
            return []
        self._until_next = self._hop
        self._emitted = True
        times = [sample_time for sample_time, _ in self._window]
        return [Clip(tuple(sample for _, sample in self._window), times[0], times[-1])]


def sample_clips(
    stream: Iterable[tuple[float, T]], *, frames: int, hop: int, fps: float, max_gap: float = DEFAULT_MAX_GAP
) -> Iterator[Clip[T]]:
    """Yield the clips of a whole stream of (time, item), the padded one of a short stream included."""
    sampler: ClipSampler[T] = ClipSampler(frames, hop, fps, max_gap)
    for time, item in stream:
        yield from sampler.push(time, item)
    yield from sampler.finish()
