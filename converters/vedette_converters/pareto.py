"""Chooses among candidates that cost time and space and are right more or less often. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Budget", "Candidate", "dominates", "front", "nearest", "recommend"]

# A bound on the accuracy may be zero; what lies above it is then measured against this.
_ONE_POINT = 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """One exported form of one network.

    Attributes:
        ratio: share of the channels that was removed before.
        variant: its name in the bundle of that ratio.
        accuracy: share of right labels.
        latency_ms: median of one call on this machine, milliseconds: a clip, or in a stream one frame.
        size_mb: of its files, 10^6 bytes.
    """

    ratio: float
    variant: str
    accuracy: float
    latency_ms: float
    size_mb: float

    @property
    def costs(self) -> tuple[float, float, float]:
        """What shall be small: latency, size, and what is wrong."""
        return self.latency_ms, self.size_mb, -self.accuracy


@dataclass(frozen=True, slots=True)
class Budget:
    """What a candidate may cost at most.

    Attributes:
        max_drop: accuracy that may be lost against the dense network in PyTorch, as a share of all samples.
        latency_ms: bound on `Candidate.latency_ms`.
        size_mb: bound on `Candidate.size_mb`.
    """

    max_drop: float
    latency_ms: float
    size_mb: float

    def overshoots(self, candidate: Candidate, reference: float) -> dict[str, float]:
        """Return by how much of each bound a candidate lies above it; empty where it keeps all three.

        Args:
            candidate: who is asked.
            reference: accuracy of the dense network.
        """
        # Shares of a few hundred samples, so that a difference of 1e-9 is one of arithmetic.
        over_drop = reference - candidate.accuracy - self.max_drop
        found = {
            "accuracy": 0.0 if over_drop < 1e-9 else over_drop / max(self.max_drop, _ONE_POINT),
            "latency": candidate.latency_ms / self.latency_ms - 1,
            "size": candidate.size_mb / self.size_mb - 1,
        }
        return {name: over for name, over in found.items() if over > 0}

    def missed(self, candidate: Candidate, reference: float) -> list[str]:
        """Say which bounds a candidate misses and by how much, a phrase each."""
        drop = reference - candidate.accuracy
        phrases = {
            "accuracy": f"loses {drop:.3f} of accuracy, {drop - self.max_drop:.3f} too much",
            "latency": f"takes {candidate.latency_ms:.2f} ms, {candidate.latency_ms - self.latency_ms:.2f} "
            "too much",
            "size": f"has {candidate.size_mb:.2f} MB, {candidate.size_mb - self.size_mb:.2f} too much",
        }
        return [phrases[name] for name in self.overshoots(candidate, reference)]


def dominates(one: Candidate, other: Candidate) -> bool:
    """Tell whether `one` is nowhere worse than `other`, and somewhere better."""
    pairs = list(zip(one.costs, other.costs, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the Pareto front: the candidates that no other one dominates, the fastest first."""
    free = [one for one in candidates if not any(dominates(other, one) for other in candidates)]
    return sorted(free, key=_fastest)


def recommend(candidates: Sequence[Candidate], budget: Budget, reference: float) -> Candidate | None:
    """Return the fastest candidate that keeps all bounds; of equally fast ones the smallest."""
    fitting = [one for one in candidates if not budget.overshoots(one, reference)]
    return min(fitting, key=_fastest, default=None)


def nearest(candidates: Sequence[Candidate], budget: Budget, reference: float) -> Candidate:
    """Return the candidate whose worst overshoot is the smallest.

    Raises:
        ValueError: when there is none.
    """

    def worst(one: Candidate) -> tuple[float, tuple[float, float, float]]:
        return max(budget.overshoots(one, reference).values(), default=0.0), one.costs

    return min(candidates, key=worst)


def _fastest(one: Candidate) -> tuple[tuple[float, float, float], float, str]:
    return one.costs, one.ratio, one.variant
