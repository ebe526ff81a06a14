"""How the verdicts of two models on the same stream compare. Pure: verdicts in, figures out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vedette_edge.judges import Verdict
from vedette_edge.manifest import Manifest

__all__ = ["Comparison", "Said", "overlap", "said"]

_LEAST_OVERLAP = 0.5
_WAITING = 64  # verdicts of one model for which the other has none yet


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said of a stretch of a stream, without its pictures.

    Attributes:
        start: seconds of the stream.
        end: seconds of the stream.
        label: the one that it found; "" for none.
        scores: by label.
    """

    start: float
    end: float
    label: str
    scores: dict[str, float]


def said(verdict: Verdict, manifest: Manifest) -> Said:
    """Return what a verdict says: its likeliest label; of an only label, whether it would alarm."""
    names = [label.name for label in manifest.labels]
    scores = dict(zip(names, map(float, verdict.probabilities), strict=True))
    label = max(scores, key=scores.__getitem__)
    if len(names) == 1 and scores[label] < manifest.decision.on_threshold:
        label = ""
    return Said(verdict.start, verdict.end, label, scores)


def overlap(one: Said, other: Said) -> float:
    """Return which share of what the two look at they have in common; single pictures: whether the same."""
    least = max(one.end - one.start, other.end - other.start)
    if least == 0.0:
        return float(abs(one.end - other.end) < 1e-3)
    union = max(one.end, other.end) - min(one.start, other.start)
    return max(0.0, min(one.end, other.end) - max(one.start, other.start)) / union


class Comparison:
    """The verdicts of an old and a new model on one camera; sums up what it compared."""

    def __init__(self) -> None:
        """Begin with none."""
        self.compared = 0
        self.agreed = 0
        self.difference = 0.0
        self._old: deque[Said] = deque(maxlen=_WAITING)
        self._new: deque[Said] = deque(maxlen=_WAITING)

    def old(self, told: Sequence[Said]) -> None:
        """Take what the old model said."""
        for one in told:
            self._meet(one, self._old, self._new)

    def new(self, told: Sequence[Said]) -> None:
        """Take what the new model said."""
        for one in told:
            self._meet(one, self._new, self._old)

    def restart(self) -> None:
        """Begin with the stream anew; the sums stay."""
        self._old.clear()
        self._new.clear()

    def _meet(self, one: Said, mine: deque[Said], others: deque[Said]) -> None:
        other = max(others, key=lambda other: overlap(one, other), default=None)
        if other is None or overlap(one, other) < _LEAST_OVERLAP:
            mine.append(one)
            return
        others.remove(other)
        common = one.scores.keys() & other.scores.keys()
        self.compared += 1
        self.agreed += one.label == other.label
        if common:
            self.difference += sum(abs(one.scores[name] - other.scores[name]) for name in common) / len(
                common
            )
