"""From what a network says to probabilities and labels: the same on the device and in every proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette_edge.manifest import AnomalySpec, Manifest
from vedette_edge.types import FloatArray

__all__ = ["Scale", "softmax"]


def softmax(logits: FloatArray, temperature: float) -> FloatArray:
    """Return (..., K) probabilities of (..., K) logits divided by `temperature`."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Scale:
    """How the logits of a model are read.

    Attributes:
        temperature: divides the logits before softmax.
        anomaly: where the one logit is the score of an anomaly.
    """

    temperature: float = 1.0
    anomaly: AnomalySpec | None = None

    @classmethod
    def of(cls, manifest: Manifest, temperature: float | None = None) -> Scale:
        """Return the scale of a model; `temperature` overrides the manifest's."""
        return cls(temperature or manifest.decision.temperature, manifest.anomaly)

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Return (..., K) probabilities of (..., K) logits; of an anomaly the one probability."""
        if self.anomaly is None:
            return softmax(logits, self.temperature)
        scaled = (logits.astype(np.float64) - self.anomaly.threshold) / self.anomaly.scale
        return np.asarray(1 / (1 + np.exp(-np.clip(scaled, -60, 60))), dtype=np.float32)

    def decide(self, probabilities: FloatArray) -> int:
        """Return the label that (K,) probabilities speak for; of an anomaly 1 where it is one, else 0."""
        return int(probabilities.argmax() if self.anomaly is None else probabilities[0] >= 0.5)

    def labels(self, logits: FloatArray) -> NDArray[np.intp]:
        """Return (N,) the label of each row of (N, K) logits; of an anomaly 1 where it is one, else 0."""
        if self.anomaly is None:
            return np.asarray(np.argmax(logits, axis=1), dtype=np.intp)
        return np.asarray(logits[:, 0] >= self.anomaly.threshold, dtype=np.intp)
