"""Compares the verdicts of one model on one camera with the reference in its manifest. Pure; no clock.

Verdicts are taken in windows that follow each other. A figure counts as drifted once it passes its upper
bound, until it falls below its lower one, so that it does not flicker from window to window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vedette_edge.drift.features import margin, picture_statistics, score_bins
from vedette_edge.drift.measures import chance_bound, ks_distance, stability_index
from vedette_edge.judges import Verdict
from vedette_edge.manifest import Manifest, Spread, Statistics
from vedette_edge.preprocess import fit
from vedette_edge.topics import PictureDrift, ScoreDrift

__all__ = ["UNSURE", "Drift", "DriftMonitor"]

UNSURE = 0.2
"""Margin below which a verdict is unsure."""

_INDEX = (0.1, 0.25)  # lower and upper bound of the stability index
_DEVIATIONS = (2.0, 3.0)  # of the mean of a window, in standard deviations of the reference


@dataclass(frozen=True, slots=True)
class Drift:
    """What a window of verdicts is like against the reference.

    Attributes:
        windows: how many verdicts.
        scores: by label.
        pictures: `brightness` and `contrast`.
        unsure: share of verdicts of which the model was unsure, 0..1.
    """

    windows: int
    scores: Mapping[str, ScoreDrift]
    pictures: Mapping[str, PictureDrift]
    unsure: float

    @property
    def drifted(self) -> bool:
        """Whether any figure has."""
        scores = any(one.drifted for one in self.scores.values())
        return scores or any(one.drifted for one in self.pictures.values())


class DriftMonitor:
    """Follows one model on one camera."""

    def __init__(self, manifest: Manifest, reference: Statistics, window: int) -> None:
        """Begin with an empty window.

        Args:
            manifest: of the model.
            reference: its `statistics`.
            window: verdicts that are compared at a time.
        """
        self._spec = manifest.input
        self._labels = [label.name for label in manifest.labels]
        self._reference = reference
        self._window = window
        self._drifted: set[str] = set()
        self._clear()

    def push(self, verdict: Verdict) -> Drift | None:
        """Take a verdict; return the comparison when its window is full."""
        probabilities = verdict.probabilities
        self._counts[np.arange(len(self._labels)), score_bins(probabilities, self._counts.shape[1])] += 1
        self._scores += probabilities
        self._pictures += picture_statistics(fit(verdict.frames[-1].image, self._spec))
        self._unsure += margin(probabilities) < UNSURE
        self._taken += 1
        if self._taken < self._window:
            return None
        drift = self._compare()
        self._clear()
        return drift

    def _clear(self) -> None:
        self._taken = 0
        self._unsure = 0
        self._counts = np.zeros((len(self._labels), len(self._reference.scores[0])), np.int64)
        self._scores = np.zeros(len(self._labels))
        self._pictures = np.zeros(2)

    def _compare(self) -> Drift:
        brightness, contrast = self._pictures / self._taken
        return Drift(
            windows=self._taken,
            scores={name: self._score(index, name) for index, name in enumerate(self._labels)},
            pictures={
                "brightness": self._picture("brightness", float(brightness), self._reference.brightness),
                "contrast": self._picture("contrast", float(contrast), self._reference.contrast),
            },
            unsure=round(self._unsure / self._taken, 4),
        )

    def _score(self, index: int, name: str) -> ScoreDrift:
        reference, now = self._reference.scores[index], self._counts[index]
        by_psi = stability_index(reference, now)
        chance = chance_bound(len(reference), self._taken, self._reference.windows)
        low, high = (max(bound, chance) for bound in _INDEX)
        return ScoreDrift(
            psi=round(by_psi, 4),
            ks=round(ks_distance(reference, now.tolist()), 4),
            mean=round(float(self._scores[index]) / self._taken, 4),
            drifted=self._has_drifted(f"score {name}", by_psi, low, high),
        )

    def _picture(self, name: str, mean: float, reference: Spread) -> PictureDrift:
        deviations = (mean - reference.mean) / max(reference.std, 1e-3)
        return PictureDrift(
            mean=round(mean, 4),
            deviations=round(deviations, 3),
            drifted=self._has_drifted(name, abs(deviations), *_DEVIATIONS),
        )

    def _has_drifted(self, name: str, value: float, low: float, high: float) -> bool:
        if value >= (low if name in self._drifted else high):
            self._drifted.add(name)
        else:
            self._drifted.discard(name)
        return name in self._drifted
