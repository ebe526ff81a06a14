"""How good alarms are, as an operator asks it: found, right, in time, and how often for nothing.

False alarms an hour are counted in the clips without an action alone, and divided by their length: these
clips stand for what the camera sees when nothing happens. Short clips that were gathered because they look
difficult make this worse than a quiet street, and those of a quiet street make it better than a busy one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette_edge.tuning.intervals import Interval, rate, share
from vedette_edge.tuning.trials import Trials

__all__ = ["Figures", "figures_of"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Alarms against what really happened.

    Attributes:
        found: actions that raised an event.
        actions: that there were.
        false_alarms: events that were wrong, in all clips.
        quiet_alarms: those of them in clips without an action.
        quiet_hours: length of these clips.
        delays: seconds to the alert of each action that was found, in ascending order.
    """

    found: int
    actions: int
    false_alarms: int
    quiet_alarms: int
    quiet_hours: float
    delays: tuple[float, ...]

    @property
    def recall(self) -> Interval:
        """Share of the actions that were found."""
        return share(self.found, self.actions)

    @property
    def precision(self) -> Interval | None:
        """Share of the events that were right; None when there was none."""
        events = self.found + self.false_alarms
        return share(self.found, events) if events else None

    @property
    def false_alarm_rate(self) -> Interval:
        """False alarms an hour of a camera to which nothing happens."""
        return rate(self.quiet_alarms, self.quiet_hours)

    def delay(self, part: float) -> float | None:
        """Return the time to alert that a part (0..1) of the found actions keeps, seconds."""
        return float(np.quantile(self.delays, part)) if self.delays else None


def figures_of(trials: Trials, chosen: NDArray[np.intp]) -> Figures:
    """Return the figures of clips, each under a rule of its own.

    Args:
        trials: the clips under all rules.
        chosen: (N,) the rule of each clip, an index into `trials.decisions`.
    """
    columns = np.arange(len(chosen))
    delays, false_alarms = trials.delays[chosen, columns], trials.false_alarms[chosen, columns]
    found = delays[np.isfinite(delays)]
    quiet = ~trials.actions
    return Figures(
        found=len(found),
        actions=int(trials.actions.sum()),
        false_alarms=int(false_alarms.sum()),
        quiet_alarms=int(false_alarms[quiet].sum()),
        quiet_hours=float(trials.seconds[quiet].sum()) / 3600,
        delays=tuple(sorted(found.tolist())),
    )
