"""How good are alarms, not frames? Matches events with what really happened. Pure.

An event is right when it has an action's label and overlaps it in time; each action counts once, so a
second event for the same action is a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["AlarmScore", "Span", "score_alarms"]


@dataclass(frozen=True, slots=True)
class Span:
    """Something with a label that lasts from `start` to `end`, seconds."""

    label: str
    start: float
    end: float

    def overlap(self, other: Span) -> float:
        """Return the seconds that both share; 0 or less when they do not meet."""
        return min(self.end, other.end) - max(self.start, other.start)


@dataclass(frozen=True, slots=True)
class AlarmScore:
    """Events against the truth.

    Attributes:
        matches: for each action the index of its event, or None where it was missed.
        false_alarms: indices of the events that match no action.
    """

    matches: tuple[int | None, ...]
    false_alarms: tuple[int, ...]

    @property
    def recall(self) -> float:
        """Share of the actions that raised an event; 1 when there was none."""
        found = sum(match is not None for match in self.matches)
        return found / len(self.matches) if self.matches else 1.0

    @property
    def precision(self) -> float:
        """Share of the events that were right; 1 when there was none."""
        found = sum(match is not None for match in self.matches)
        total = found + len(self.false_alarms)
        return found / total if total else 1.0


def score_alarms(events: Sequence[Span], actions: Sequence[Span]) -> AlarmScore:
    """Match each action with the event of its label that overlaps it longest.

    Args:
        events: what was reported.
        actions: what really happened.
    """
    pairs = sorted(
        (
            (event.overlap(action), -index, -number)
            for number, event in enumerate(events)
            for index, action in enumerate(actions)
            if event.label == action.label and event.overlap(action) > 0
        ),
        reverse=True,
    )
    matches: dict[int, int] = {}
    for _, index, number in pairs:
        if -index not in matches and -number not in matches.values():
            matches[-index] = -number
    false_alarms = tuple(number for number in range(len(events)) if number not in matches.values())
    return AlarmScore(tuple(matches.get(index) for index in range(len(actions))), false_alarms)
