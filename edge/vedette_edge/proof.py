"""Does a model give the outputs it should? The same comparison builds a bundle and trusts it.

`compare` measures how far outputs are from a reference; `check_golden` runs a bundle's golden samples
through an open session, which the device does before it trusts a variant; `open_proved` opens it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette_edge.bundle import Bundle
from vedette_edge.errors import ProofError
from vedette_edge.manifest import Bounds, InputSpec, TemporalMode, Variant
from vedette_edge.preprocess import to_tensor
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes import CPU, Provider, Session, StreamingSession, load
from vedette_edge.types import FloatArray, Outputs, joined

__all__ = [
    "Difference",
    "Proved",
    "as_told",
    "check_golden",
    "compare",
    "golden_outputs",
    "open_proved",
    "relative",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far outputs are from a reference; of logits and heatmaps relative to max(1, |reference|).

    Attributes:
        logits_max: largest of the logits.
        logits_mean: mean of the logits.
        heatmap_max: largest of the heatmaps.
        heatmap_mean: mean of the heatmaps.
        label_agreement: share of samples with the same label.
        score_max: largest of the probabilities.
        score_mean: mean of the probabilities.
        heatmap_correlation: mean over the samples of Pearson's correlation of the map of the reference's
            label; 1 where the reference's map is flat and the other one is, too.
    """

    logits_max: float
    logits_mean: float
    heatmap_max: float
    heatmap_mean: float
    label_agreement: float
    score_max: float
    score_mean: float
    heatmap_correlation: float

    def within(self, tolerance: float, heatmap: float | None = None) -> bool:
        """Tell whether both maxima are at most `tolerance`, or that of the heatmap at most `heatmap`.

        NaN is never within.
        """
        return self.logits_max <= tolerance and self.heatmap_max <= (heatmap or tolerance)

    def missed(self, bounds: Bounds) -> list[str]:
        """Return what lies outside of `bounds`, a phrase each; NaN always does. Says nothing of accuracy."""
        missed = []
        if not self.label_agreement >= bounds.min_label_agreement:
            missed.append(
                f"labels agree on {self.label_agreement:.3f}, at least {bounds.min_label_agreement:g}"
            )
        if not self.score_mean <= bounds.max_score:
            missed.append(f"scores differ by {self.score_mean:.3f} in the mean, at most {bounds.max_score:g}")
        if not self.heatmap_correlation >= bounds.min_heatmap:
            missed.append(
                f"heatmaps correlate by {self.heatmap_correlation:.3f}, at least {bounds.min_heatmap:g}"
            )
        return missed


@dataclass(frozen=True, slots=True)
class Proved:
    """A variant that is loaded and reproduced its golden samples.

    Attributes:
        session: it, loaded.
        difference: how far it is from the expected outputs.
    """

    session: Session | StreamingSession
    difference: Difference


def compare(outputs: Outputs, reference: Outputs, scale: Scale = Scale()) -> Difference:  # noqa: B008 - frozen
    """Measure how far `outputs` are from `reference`, for the same clips in the same order.

    Args:
        outputs: of the model in question.
        reference: what they should be.
        scale: how logits become probabilities and labels.

    Raises:
        ValueError: when the shapes differ.
    """
    if (outputs.logits.shape, outputs.heatmap.shape) != (reference.logits.shape, reference.heatmap.shape):
        raise ValueError(
            f"outputs {outputs.logits.shape}, {outputs.heatmap.shape} cannot be compared with "
            f"{reference.logits.shape}, {reference.heatmap.shape}"
        )
    logits = relative(outputs.logits, reference.logits)
    heatmap = relative(outputs.heatmap, reference.heatmap)
    scores = np.abs(scale.probabilities(outputs.logits) - scale.probabilities(reference.logits))
    shown = np.arange(len(reference.logits)), np.argmax(reference.logits, axis=1)
    return Difference(
        logits_max=float(logits.max()),
        logits_mean=float(logits.mean()),
        heatmap_max=float(heatmap.max()),
        heatmap_mean=float(heatmap.mean()),
        label_agreement=float(np.mean(scale.labels(outputs.logits) == scale.labels(reference.logits))),
        score_max=float(scores.max()),
        score_mean=float(scores.mean()),
        heatmap_correlation=_correlation(outputs.heatmap[shown], reference.heatmap[shown]),
    )


def open_proved(
    bundle: Bundle, variant: Variant, *, threads: int = 0, providers: Sequence[Provider] = CPU
) -> Proved:
    """Load a variant and have it reproduce its golden samples.

    Args:
        bundle: where the model lies.
        variant: which form of it.
        threads: threads of one inference; 0 leaves the choice to the runtime.
        providers: one of `runtimes.placements`.

    Raises:
        RuntimeBackendError: when it cannot be loaded.
        MissingExtraError: when the runtime's library is not installed.
        ProofError: as `check_golden`.
        BundleError: when a file is missing or is not the one that the manifest names.
    """
    files = [bundle.read(entry) for entry in variant.files]
    session = load(files, variant, threads, providers)
    return Proved(session, check_golden(bundle, variant, session))


def check_golden(bundle: Bundle, variant: Variant, session: Session | StreamingSession) -> Difference:
    """Run the golden samples of a bundle and compare with the outputs of the PyTorch model.

    Raises:
        ProofError: when an output is further away than the manifest allows.
        BundleError: when a golden file is missing, was changed, or has the wrong shape.
    """
    golden = bundle.manifest.golden
    inputs = bundle.read_array(golden.inputs)
    logits = bundle.read_array(golden.logits).astype(np.float32)
    heatmap = bundle.read_array(golden.heatmap).astype(np.float32)
    try:
        outputs = golden_outputs(session, inputs.astype(np.uint8), bundle.manifest.input)
        difference = compare(
            outputs, as_told(Outputs(logits, heatmap), variant.mode), Scale.of(bundle.manifest)
        )
    except ValueError as error:
        raise ProofError(f"{bundle.directory}: golden samples do not fit the model: {error}") from error
    tolerance = variant.tolerance or golden.tolerance
    if not difference.within(tolerance):
        raise ProofError(
            f"{bundle.directory}: variant '{variant.name}' does not give its expected outputs here: largest "
            f"difference {difference.logits_max:.2e} (logits) and {difference.heatmap_max:.2e} (heatmap), "
            f"allowed {tolerance:.0e}; it is not used"
        )
    return difference


def as_told(clips: Outputs, mode: TemporalMode) -> Outputs:
    """Return what a variant of a mode tells of clips: a stream speaks of their last frame."""
    return clips if mode == "clip" else Outputs(clips.logits, clips.heatmap[:, :, -1:])


def golden_outputs(
    session: Session | StreamingSession, inputs: NDArray[np.uint8], spec: InputSpec
) -> Outputs:
    """Run golden inputs, (N, T, H, W, 3) in the input's colour order, one at a time as the device does.

    Returns:
        logits (N, K) and heatmap (N, K, T', H', W'); of a stream those after the last frame, so that T' is 1.

    Raises:
        ValueError: when they do not fit the input.
    """
    tensors = [to_tensor(list(clip), spec) for clip in inputs]
    if isinstance(session, StreamingSession):
        return joined([session.open_stream().push(tensor).last() for tensor in tensors])
    return joined([session.run(tensor) for tensor in tensors])


def relative(found: FloatArray, reference: FloatArray) -> FloatArray:
    """Return |difference| relative to max(1, |reference|), in the shape of both."""
    scale = np.maximum(1.0, np.abs(reference))
    return np.asarray(np.abs(found - reference) / scale, dtype=np.float32)


def _correlation(found: FloatArray, reference: FloatArray) -> float:
    """Return the mean of Pearson's correlations of rows, (N, ...) each."""
    pairs = zip(found.reshape(len(found), -1), reference.reshape(len(reference), -1), strict=True)
    return float(np.mean([_pearson(*pair) for pair in pairs]))


def _pearson(found: FloatArray, reference: FloatArray) -> float:
    a, b = (row.astype(np.float64) - row.mean(dtype=np.float64) for row in (found, reference))
    scale = np.sqrt((a @ a) * (b @ b))
    if scale <= np.finfo(np.float32).tiny:
        return 1.0 if np.allclose(found, reference, rtol=1e-3, atol=1e-3) else 0.0
    return float(np.clip(a @ b / scale, -1.0, 1.0))
