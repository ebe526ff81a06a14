"""Does a model give the outputs it should? The same comparison builds a bundle and trusts it.

`compare` measures how far outputs are from a reference; `check_golden` runs a bundle's golden samples
through an open session, which the device does before it trusts a variant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vedette_edge.bundle import Bundle
from vedette_edge.errors import ProofError
from vedette_edge.preprocess import to_tensor
from vedette_edge.runtimes.base import Session
from vedette_edge.types import FloatArray, Outputs

__all__ = ["Difference", "check_golden", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far outputs are from a reference; differences are relative to max(1, |reference|)."""

    logits_max: float
    logits_mean: float
    heatmap_max: float
    heatmap_mean: float
    label_agreement: float

    def within(self, tolerance: float) -> bool:
        """Tell whether both maxima are at most `tolerance`; NaN is never within."""
        return self.logits_max <= tolerance and self.heatmap_max <= tolerance


def compare(outputs: Outputs, reference: Outputs) -> Difference:
    """Measure how far `outputs` are from `reference`, for the same clips in the same order.

    Raises:
        ValueError: when the shapes differ.
    """
    if (outputs.logits.shape, outputs.heatmap.shape) != (reference.logits.shape, reference.heatmap.shape):
        raise ValueError(
            f"outputs {outputs.logits.shape}, {outputs.heatmap.shape} cannot be compared with "
            f"{reference.logits.shape}, {reference.heatmap.shape}"
        )
    logits = _relative(outputs.logits, reference.logits)
    heatmap = _relative(outputs.heatmap, reference.heatmap)
    agree = outputs.logits.argmax(axis=1) == reference.logits.argmax(axis=1)
    return Difference(
        logits_max=float(logits.max()),
        logits_mean=float(logits.mean()),
        heatmap_max=float(heatmap.max()),
        heatmap_mean=float(heatmap.mean()),
        label_agreement=float(agree.mean()),
    )


def check_golden(bundle: Bundle, session: Session) -> Difference:
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
        expected = Outputs(logits, heatmap)
        clips = [to_tensor(list(clip.astype(np.uint8)), bundle.manifest.input) for clip in inputs]
        found = [session.run(clip) for clip in clips]
        outputs = Outputs(
            np.concatenate([one.logits for one in found]), np.concatenate([one.heatmap for one in found])
        )
        difference = compare(outputs, expected)
    except ValueError as error:
        raise ProofError(f"{bundle.directory}: golden samples do not fit the model: {error}") from error
    if not difference.within(golden.tolerance):
        raise ProofError(
            f"{bundle.directory}: this model does not give its expected outputs here: largest difference "
            f"{difference.logits_max:.2e} (logits) and {difference.heatmap_max:.2e} (heatmap), allowed "
            f"{golden.tolerance:.0e}; it is not used"
        )
    return difference


def _relative(found: FloatArray, reference: FloatArray) -> FloatArray:
    scale = np.maximum(1.0, np.abs(reference))
    return np.asarray(np.abs(found - reference) / scale, dtype=np.float32)
