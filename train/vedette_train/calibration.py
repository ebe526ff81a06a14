"""Do probabilities mean what they say? Temperature scaling, and how far off they are. Pure.

A network's logits are divided by one number, the temperature, before softmax. It is chosen by maximum
likelihood on videos that neither trained the network nor are reported on [Guo et al. 2017, arXiv
1706.04599]; it changes no window's label.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from vedette_edge.types import FloatArray

__all__ = ["BOUNDS", "Bins", "Reliability", "fit_temperature", "negative_log_likelihood", "reliability"]

# Wide enough for every sound network; a few videos that are all judged right would ask for 0.
BOUNDS = (0.25, 10.0)
_BINS = 10

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Windows by the probability of their label, in bins of equal width over 0..1.

    Attributes:
        count: windows in each bin.
        confidence: their mean probability; NaN in an empty bin.
        accuracy: the share of them that is right; NaN in an empty bin.
    """

    count: Ints
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far probabilities are from what they say.

    Attributes:
        ece: expected calibration error: mean of |accuracy - confidence| over the bins, by their windows.
        nll: mean negative log-likelihood of the true class, nats.
        windows: how many there were.
    """

    ece: float
    nll: float
    windows: int

    def to_dict(self) -> dict[str, float]:
        """Return it for JSON."""
        return asdict(self)


def negative_log_likelihood(logits: FloatArray, truth: Ints, temperature: float) -> float:
    """Return the mean over windows, nats; logits (N, K), truth (N,)."""
    rows = log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(-rows[np.arange(len(truth)), truth].mean())


def fit_temperature(logits: FloatArray, truth: Ints) -> float:
    """Return the temperature of the greatest likelihood within `BOUNDS`.

    Args:
        logits: (N, K), at least one window.
        truth: (N,), 0..K-1.
    """
    # In the logarithm, because temperatures are factors; the likelihood is convex in 1 / temperature.
    found = minimize_scalar(
        lambda exponent: negative_log_likelihood(logits, truth, float(np.exp(exponent))),
        bounds=tuple(np.log(BOUNDS)),
        method="bounded",
    )
    return float(np.exp(found.x))


def reliability(logits: FloatArray, truth: Ints, temperature: float) -> tuple[Reliability, Bins]:
    """Return how far off the probabilities are, and the bins that a reliability diagram shows.

    Args:
        logits: (N, K), at least one window.
        truth: (N,), 0..K-1.
        temperature: divides the logits.
    """
    probabilities = softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    count = np.bincount(places, minlength=_BINS)
    with np.errstate(invalid="ignore"):
        bins = Bins(
            count,
            np.bincount(places, confidence, _BINS) / count,
            np.bincount(places, right, _BINS) / count,
        )
    ece = float(np.nansum(count * np.abs(bins.accuracy - bins.confidence)) / len(truth))
    return Reliability(ece, negative_log_likelihood(logits, truth, temperature), len(truth)), bins
