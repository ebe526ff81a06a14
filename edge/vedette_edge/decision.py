"""From scores to events: smoothing, two thresholds, k of n, zones, schedules, minimum duration, cooldown.

Pure; time is an argument. For each label that may alarm, the rules in order:

1. The score is the mean of the last `smoothing` probabilities.
2. A window counts when its score is at or above `on_threshold`, its evidence lies in one of the rule's
   zones, its schedule is in force, and no event ended within the last `cooldown` seconds.
3. A stretch lasts while `k` of the last `n` windows since the last end count. It began with the oldest of
   these.
4. An event begins (`new`) at the first window that counts once its stretch has lasted `min_duration`
   seconds. Its start is that of the stretch.
5. While it lasts it is told again (`update`) when its peak has risen by 0.1, or every 5 seconds.
6. It ends (`end`) when the score falls below `off_threshold`, when the schedule is over, or when the stream
   stops or breaks. Zones do not end it: what has begun may walk on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from vedette_edge.manifest import Decision
from vedette_edge.schedule import Schedule
from vedette_edge.types import FloatArray

__all__ = ["SHARE", "Decider", "Rule", "Transition", "with_threshold"]

SHARE = 0.5
"""Of the evidence, what lies in a zone that an event is said to be in."""
UPDATE_RISE = 0.1
UPDATE_PERIOD = 5.0
_ROUNDING = 1e-6  # 0.7 + 0.1 must count as a rise of 0.1, in float32 too

Kind = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one label must do to alarm.

    Attributes:
        label: index of the class.
        decision: thresholds and times; its `hop` and `temperature` are the judge's business.
        zones: names of the zones in which it may begin; None: the whole picture.
        share: of the evidence that a zone must hold, 0..1.
        schedule: when it is in force; None: always.
    """

    label: int
    decision: Decision
    zones: frozenset[str] | None = None
    share: float = SHARE
    schedule: Schedule | None = None


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
        zone: name of the zone that holds most of the evidence, where one holds enough; what was last known.
    """

    kind: Kind
    label: int
    time: float
    start: float
    score: float
    peak: float
    zone: str | None = None


class Decider:
    """Follows the probabilities of one stream."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raise events by `rules`, one for each label that may alarm."""
        self._tracks = [_Track(rule) for rule in rules]

    def push(
        self,
        time: float,
        probabilities: FloatArray | Sequence[float],
        *,
        unix_time: float,
        zones_of: Callable[[int], Mapping[str, float]] = lambda _label: {},
    ) -> list[Transition]:
        """Take the probabilities of the next window; return what changed.

        Args:
            time: of the window's middle, seconds of the stream.
            probabilities: (K,).
            unix_time: what the clock on the wall shows; schedules go by it.
            zones_of: gives the share of the evidence for a label in each zone, by the zone's name; asked only
                where it matters.

        Returns:
            The changes, at most one a label.
        """
        changes = (
            track.push(time, float(probabilities[track.label]), unix_time, zones_of) for track in self._tracks
        )
        return [change for change in changes if change is not None]

    def finish(self, time: float) -> list[Transition]:
        """End what is active and forget the scores: the stream stopped, or has a gap, after `time`."""
        changes = (track.finish(time) for track in self._tracks)
        return [change for change in changes if change is not None]

    def set_threshold(self, label: int, value: float) -> None:
        """Begin events of a label at another score from now on; `off_threshold` changes in proportion.

        May be called while another thread pushes.

        Raises:
            ValueError: when the label raises no events, or the value is not in 0..1.
        """
        track = next((track for track in self._tracks if track.label == label), None)
        if track is None:
            raise ValueError(f"the label {label} raises no events here")
        if not 0 <= value <= 1:
            raise ValueError(f"a threshold lies in 0..1, got {value}")
        track.rule = replace(track.rule, decision=with_threshold(track.rule.decision, value))


def with_threshold(decision: Decision, value: float) -> Decision:
    """Return the same rules with another `on_threshold` (0..1), and an `off_threshold` in proportion.

    A fixed distance would take `off_threshold` to 0 where scores are low, and no event would end.
    """
    on = decision.on_threshold
    off = value * (decision.off_threshold / on if on else 1.0)
    return decision.model_copy(update={"on_threshold": value, "off_threshold": min(off, value)})


class _Seen(NamedTuple):
    """A window of the past."""

    time: float
    score: float
    counts: bool


class _Track:
    """One label's state."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.label = rule.label
        self._probabilities: deque[float] = deque(maxlen=rule.decision.smoothing)
        self._recent: deque[_Seen] = deque(maxlen=rule.decision.n)
        self._since: float | None = None  # when the stretch began, or None
        self._active = False
        self._ended: float | None = None
        self._score = self._peak = 0.0
        self._zone: str | None = None
        self._told_at = self._told_peak = 0.0

    def push(
        self,
        time: float,
        probability: float,
        unix_time: float,
        zones_of: Callable[[int], Mapping[str, float]],
    ) -> Transition | None:
        """Take the next window; return what changed."""
        rule = self.rule  # read once: another thread may change it
        self._probabilities.append(probability)
        self._score = sum(self._probabilities) / len(self._probabilities)
        in_force = rule.schedule is None or rule.schedule.in_force(unix_time)
        if self._active:
            return self._follow(rule, time, in_force, zones_of)
        return self._await(rule, time, in_force and self._counts(rule, time, zones_of))

    def finish(self, time: float) -> Transition | None:
        """End the event, if there is one, and forget the scores."""
        self._probabilities.clear()
        change = self._end(time) if self._active else None
        self._reset()
        return change

    def _counts(self, rule: Rule, time: float, zones_of: Callable[[int], Mapping[str, float]]) -> bool:
        if self._score < rule.decision.on_threshold or self._cooling(rule, time):
            return False
        zone = _zone_of(rule, zones_of(self.label))
        if zone is None and rule.zones is not None:
            return False
        self._zone = zone
        return True

    def _await(self, rule: Rule, time: float, counts: bool) -> Transition | None:
        self._recent.append(_Seen(time, self._score, counts))
        if sum(seen.counts for seen in self._recent) < rule.decision.k:
            self._since = None
            return None
        if self._since is None:
            self._since = next(seen.time for seen in self._recent if seen.counts)
            self._peak = max(seen.score for seen in self._recent if seen.time >= self._since)
        self._peak = max(self._peak, self._score)
        if not counts or time - self._since + _ROUNDING < rule.decision.min_duration:
            return None
        self._active = True
        return self._tell("new", time)

    def _follow(
        self, rule: Rule, time: float, in_force: bool, zones_of: Callable[[int], Mapping[str, float]]
    ) -> Transition | None:
        self._peak = max(self._peak, self._score)
        if self._score < rule.decision.off_threshold or not in_force:
            return self._end(time)
        risen = self._peak - self._told_peak + _ROUNDING >= UPDATE_RISE
        if not risen and time - self._told_at < UPDATE_PERIOD:
            return None
        self._zone = _zone_of(rule, zones_of(self.label)) or self._zone
        return self._tell("update", time)

    def _end(self, time: float) -> Transition:
        change = self._tell("end", time)
        self._reset()
        self._ended = time
        return change

    def _reset(self) -> None:
        self._recent.clear()
        self._since, self._active, self._zone = None, False, None

    def _tell(self, kind: Kind, time: float) -> Transition:
        assert self._since is not None
        self._told_at, self._told_peak = time, self._peak
        return Transition(kind, self.label, time, self._since, self._score, self._peak, self._zone)

    def _cooling(self, rule: Rule, time: float) -> bool:
        # A stream that restarts counts from zero again: an end in its future cools nothing.
        return self._ended is not None and 0 <= time - self._ended < rule.decision.cooldown


def _zone_of(rule: Rule, shares: Mapping[str, float]) -> str | None:
    """Return the zone that holds most of the evidence, of those that hold enough and that the rule names."""
    enough = {
        name: share
        for name, share in shares.items()
        if share + _ROUNDING >= rule.share and (rule.zones is None or name in rule.zones)
    }
    return max(enough, key=enough.__getitem__, default=None)
