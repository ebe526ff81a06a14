"""Proves that an exported variant gives what the trained network gives, in the device's own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vedette_converters.samples import Seen
from vedette_edge.errors import ProofError
from vedette_edge.manifest import Accuracy, Bounds, Parity, Precision, Proof
from vedette_edge.probabilities import Scale
from vedette_edge.proof import Difference, compare
from vedette_edge.runtimes.base import Session, StreamingSession
from vedette_edge.types import FloatArray, Outputs, joined
from vedette_train.metrics import accuracy

__all__ = ["FP32_TOLERANCE", "Judged", "judge", "prove"]

FP32_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Judged:
    """All samples of a mode, judged by the PyTorch network and by a variant.

    Attributes:
        truth: index of each sample's label.
        found: the variant's verdict on each.
        expected: the network's.
        difference: of the outputs, over all windows or frames.
        rows: how many these were.
    """

    truth: tuple[int, ...]
    found: tuple[int, ...]
    expected: tuple[int, ...]
    difference: Difference
    rows: int

    @property
    def drop(self) -> float:
        """Accuracy of the network, less the variant's."""
        right = [
            sum(a == b for a, b in zip(self.truth, verdicts, strict=True))
            for verdicts in (self.expected, self.found)
        ]
        return (right[0] - right[1]) / len(self.truth)


def judge(session: Session | StreamingSession, samples: Sequence[Seen], scale: Scale) -> Judged:
    """Run a variant on all samples, one clip or frame at a time as the device does."""
    outputs = [_run(session, seen.tensor) for seen in samples]
    return Judged(
        truth=tuple(seen.truth for seen in samples),
        found=tuple(_verdict(one, seen, scale) for one, seen in zip(outputs, samples, strict=True)),
        expected=tuple(_verdict(seen.reference, seen, scale) for seen in samples),
        difference=compare(joined(outputs), joined([seen.reference for seen in samples]), scale),
        rows=sum(len(one.logits) for one in outputs),
    )


def prove(
    judged: Judged,
    precision: Precision,
    bounds: Bounds,
    split: str,
    heatmap_tolerance: float = FP32_TOLERANCE,
) -> Proof:
    """Return the proof of a variant.

    Args:
        judged: what it did on the samples that the run reports on.
        precision: of fp32 the outputs themselves are bounded, of others what they mean.
        bounds: what others must keep.
        split: what the samples are, for a reader.
        heatmap_tolerance: of the heatmap in fp32.

    Raises:
        ProofError: when it is not good enough; says by how much.
    """
    exact, difference = precision == "fp32", judged.difference
    missed = [] if exact else difference.missed(bounds)
    # One sample of few is more than a small bound, and less cannot be told.
    most = max(bounds.max_drop, 1 / len(judged.truth))
    if not exact and judged.drop > most:
        missed.append(f"accuracy falls by {judged.drop:.3f}, at most {most:.3g}")
    if exact and not difference.within(FP32_TOLERANCE, heatmap_tolerance):
        missed.append(
            f"largest difference {difference.logits_max:.1e} (logits), {difference.heatmap_max:.1e} "
            f"(heatmap), allowed {FP32_TOLERANCE:.0e} and {heatmap_tolerance:.0e}, "
            f"labels agree on {difference.label_agreement:.1%}"
        )
    if missed:
        raise ProofError(f"it is not the trained model: {'; '.join(missed)}")
    right = accuracy(list(judged.truth), list(judged.found))
    return Proof(
        parity=Parity(
            samples=judged.rows,
            source=f"windows of {len(judged.truth)} held-out samples",
            logits_max_abs=difference.logits_max,
            logits_mean_abs=difference.logits_mean,
            heatmap_max_abs=difference.heatmap_max,
            heatmap_mean_abs=difference.heatmap_mean,
            label_agreement=difference.label_agreement,
            score_mean_abs=difference.score_mean,
            score_max_abs=difference.score_max,
            heatmap_correlation=difference.heatmap_correlation,
            tolerance=FP32_TOLERANCE if exact else None,
            heatmap_tolerance=heatmap_tolerance if exact and heatmap_tolerance != FP32_TOLERANCE else None,
        ),
        accuracy=Accuracy(
            value=right.value, low=right.low, high=right.high, samples=right.samples, split=split
        ),
        drop=judged.drop,
        bounds=None if exact else bounds,
    )


def _run(session: Session | StreamingSession, tensor: FloatArray) -> Outputs:
    if isinstance(session, StreamingSession):
        return session.open_stream().push(np.asarray(tensor))
    return joined([session.run(np.asarray(tensor[index : index + 1])) for index in range(len(tensor))])


def _verdict(outputs: Outputs, seen: Seen, scale: Scale) -> int:
    return scale.decide(scale.probabilities(outputs.logits[seen.judged]).mean(axis=0))
