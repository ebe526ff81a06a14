"""From scores to events: smoothing, two thresholds, minimum duration, cooldown. Pure; time is an argument.

For each label that may alarm, the rules in order:

1. The score is the mean of the last `smoothing` probabilities.
2. An event begins (`new`) once the score has stayed at or above `on` for `min_duration` seconds. Its
   start is when that stretch began.
3. While it lasts it is told again (`update`) when its peak has risen by 0.1, or every 5 seconds.
4. It ends (`end`) when the score falls below `off`, or when the stream stops or breaks.
5. After an end no stretch begins for `cooldown` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vedette_edge.manifest import Decision
from vedette_edge.types import FloatArray

__all__ = ["Decider", "Transition"]

UPDATE_RISE = 0.1
UPDATE_PERIOD = 5.0
_ROUNDING = 1e-9  # 0.7 + 0.1 must count as a rise of 0.1


@dataclass(frozen=True, slots=True)
class Transition:
    """A change that is worth telling.

    Attributes:
        kind: `new`, `update` or `end`.
        label: index of the class.
        time: when, seconds of the stream.
        start: when the event began, seconds of the stream.
        score: smoothed probability now, 0..1.
        peak: highest smoothed probability since `start`, 0..1.
    """

    kind: Literal["new", "update", "end"]
    label: int
    time: float
    start: float
    score: float
    peak: float


@dataclass(slots=True)
class _Track:
    """One label's state; `since` is None while the score is low, `active` once `new` was told."""

    label: int
    since: float | None = None
    active: bool = False
    score: float = 0.0
    peak: float = 0.0
    told_at: float = 0.0
    told_peak: float = 0.0
    ended: float | None = field(default=None)

    def tell(self, kind: Literal["new", "update", "end"], time: float) -> Transition:
        assert self.since is not None
        self.told_at, self.told_peak = time, self.peak
        return Transition(kind, self.label, time, self.since, self.score, self.peak)


class Decider:
    """Follows the probabilities of one stream."""

    def __init__(self, rules: Decision, labels: Iterable[int]) -> None:
        """Raise events for `labels` (indices of classes) by `rules`."""
        self._rules = rules
        self._window: deque[FloatArray] = deque(maxlen=rules.smoothing)
        self._tracks = [_Track(label) for label in labels]

    def push(self, time: float, probabilities: FloatArray) -> list[Transition]:
        """Take the (K,) probabilities of the window whose middle is at `time`; return what changed."""
        self._window.append(probabilities)
        means = np.stack(self._window).astype(np.float64).mean(axis=0)
        changes: list[Transition] = []
        for track in self._tracks:
            track.score = float(means[track.label])
            changes += self._follow(track, time) if track.active else self._await(track, time)
        return changes

    def finish(self, time: float) -> list[Transition]:
        """End what is active and forget the scores: the stream stopped, or has a gap, after `time`."""
        self._window.clear()
        changes = [_end(track, time) for track in self._tracks if track.active]
        for track in self._tracks:
            track.since = None
        return changes

    def _await(self, track: _Track, time: float) -> list[Transition]:
        if track.score < self._rules.on_threshold or self._cooling(track, time):
            track.since = None
            return []
        if track.since is None:
            track.since, track.peak = time, track.score
        track.peak = max(track.peak, track.score)
        if time - track.since + _ROUNDING < self._rules.min_duration:
            return []
        track.active = True
        return [track.tell("new", time)]

    def _follow(self, track: _Track, time: float) -> list[Transition]:
        track.peak = max(track.peak, track.score)
        if track.score < self._rules.off_threshold:
            return [_end(track, time)]
        risen = track.peak - track.told_peak + _ROUNDING >= UPDATE_RISE
        if risen or time - track.told_at >= UPDATE_PERIOD:
            return [track.tell("update", time)]
        return []

    def _cooling(self, track: _Track, time: float) -> bool:
        # A stream that restarts counts from zero again: an end in its future cools nothing.
        return track.ended is not None and 0 <= time - track.ended < self._rules.cooldown


def _end(track: _Track, time: float) -> Transition:
    transition = track.tell("end", time)
    track.active, track.since, track.ended = False, None, time
    return transition
