"""Plays judged clips through the device's own decider, under each of many rules.

A clip whose label may alarm is one action, from its first frame to its last. It is found when an event of
its label overlaps it, and the time to alert is from its first frame to the last frame of the window that
began the event. Every other event, a second one for the same action too, is a false alarm (`scoring`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette_edge.decision import Decider, Rule, Transition
from vedette_edge.manifest import Decision
from vedette_edge.scoring import Span, score_alarms
from vedette_edge.tuning.judged import Judged, Sample

__all__ = ["Alert", "Trials", "alerts_of", "critical_scores", "run_trials"]


@dataclass(frozen=True, slots=True)
class Alert:
    """An event as the control room gets it.

    Attributes:
        span: its label, start and end, seconds of the clip.
        told: when it could be told, seconds of the clip.
    """

    span: Span
    told: float


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """What N clips give under C rules.

    Attributes:
        decisions: the rules, C of them.
        delays: (C, N) seconds to the alert, NaN where there was no action, or it was missed.
        false_alarms: (C, N) int, events that were wrong.
        actions: (N,) bool, whether the clip shows an action.
        seconds: (N,) length of the clip.
    """

    decisions: Sequence[Decision]
    delays: NDArray[np.float64]
    false_alarms: NDArray[np.int64]
    actions: NDArray[np.bool_]
    seconds: NDArray[np.float64]


def run_trials(
    samples: Sequence[Sample],
    decisions: Sequence[Decision],
    labels: Mapping[str, int],
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> Trials:
    """Return what clips give under each of some rules.

    Args:
        samples: the clips.
        decisions: the rules.
        labels: indices of the classes that may alarm, by name.
        on_progress: called with how many rules are done, and how many there are.
    """
    delays = np.full((len(decisions), len(samples)), np.nan)
    false_alarms = np.zeros(delays.shape, np.int64)
    critical: dict[tuple[int, int, int], NDArray[np.float64]] = {}
    for row, decision in enumerate(decisions):
        on_progress(row, len(decisions))
        # Where no event can begin there is nothing to play.
        shape = decision.smoothing, decision.k, decision.n
        if shape not in critical:
            critical[shape] = critical_scores(samples, labels, *shape)
        for column in np.flatnonzero(critical[shape] >= decision.on_threshold).tolist():
            delays[row, column], false_alarms[row, column] = _outcome(samples[column], decision, labels)
    return Trials(
        decisions,
        delays,
        false_alarms,
        np.array([sample.clip.label in labels for sample in samples]),
        np.array([sample.judged.seconds for sample in samples]),
    )


def alerts_of(judged: Judged, decision: Decision, labels: Mapping[str, int]) -> list[Alert]:
    """Return the events that a clip raises, in the order in which they end."""
    names = {index: name for name, index in labels.items()}
    decider = Decider(Rule(index, decision) for index in names)
    told: dict[int, float] = {}
    alerts: list[Alert] = []

    def take(changes: Sequence[Transition], end: float) -> None:
        for change in changes:
            if change.kind == "new":
                told[change.label] = end
            elif change.kind == "end":
                span = Span(names[change.label], change.start, change.time)
                alerts.append(Alert(span, told[change.label]))

    last = 0.0
    for window in judged.windows:
        if window.anew:
            take(decider.finish(last), last)
        take(decider.push(window.middle, window.probabilities, unix_time=0.0), window.end)
        last = window.end
    take(decider.finish(judged.seconds), judged.seconds)
    return alerts


def critical_scores(
    samples: Sequence[Sample], labels: Mapping[str, int], smoothing: int, k: int, n: int
) -> NDArray[np.float64]:
    """Return the highest `on_threshold` at which each clip raises an event at all, -1 where none does; (N,).

    So it is with a `min_duration` of 0; with a longer one, none is raised above it either.
    """
    return np.array(
        [
            max(_critical_score(sample.judged, label, smoothing, k, n) for label in labels.values())
            for sample in samples
        ]
    )


def _critical_score(judged: Judged, label: int, smoothing: int, k: int, n: int) -> float:
    probabilities: deque[float] = deque(maxlen=smoothing)
    scores: deque[float] = deque(maxlen=n)
    highest = -1.0
    for window in judged.windows:
        if window.anew:
            probabilities.clear()
            scores.clear()
        probabilities.append(window.probabilities[label])
        scores.append(sum(probabilities) / len(probabilities))
        if len(scores) >= k:
            highest = max(highest, sorted(scores)[-k])
    return highest


def _outcome(sample: Sample, decision: Decision, labels: Mapping[str, int]) -> tuple[float, int]:
    """Return the seconds to the alert, NaN without one, and the number of false alarms."""
    alerts = alerts_of(sample.judged, decision, labels)
    label = sample.clip.label
    actions = [Span(label, 0.0, sample.judged.seconds)] if label in labels else []
    score = score_alarms([alert.span for alert in alerts], actions)
    found = [alerts[match].told for match in score.matches if match is not None]
    return (found[0] if found else math.nan), len(score.false_alarms)
