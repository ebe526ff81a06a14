"""What the manifest says of each variant, as figures and as text for a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vedette_edge.heatmap import class_map
from vedette_edge.manifest import AnomalySpec, Manifest, Measured, Parity, Runtime, Variant
from vedette_edge.types import FloatArray

__all__ = ["COLUMNS", "Row", "evidence", "machines", "megabytes", "rows"]

COLUMNS = (
    "variant",
    "MB",
    "ms, p50 and p95",
    "speed-up",
    "difference",
    "same label",
    "accuracy",
    "drop",
)

_BEYOND_GOOD = 3.0  # times the range of good pictures' maps
_LEAST_SPAN = 1e-12


@dataclass(frozen=True, slots=True)
class Row:
    """One variant.

    Attributes:
        variant: what the manifest says of it.
        measured: what a call of it costs; None where nobody measured it.
        speedup: how many of its calls the runtime's fp32 clip variant has time for in one; None where one of
            the two was not measured.
    """

    variant: Variant
    measured: Measured | None
    speedup: float | None

    def texts(self) -> tuple[str, ...]:
        """Return a text for each of `COLUMNS`; empty where nothing is known."""
        parity, accuracy, drop = (
            self.variant.proof.parity,
            self.variant.proof.accuracy,
            self.variant.proof.drop,
        )
        measured = self.measured
        return (
            self.variant.name,
            f"{megabytes(self.variant):.2f}",
            f"{measured.p50_ms:.2f}\n{measured.p95_ms:.2f}" if measured else "",
            f"{self.speedup:.1f}x" if self.speedup else "",
            _difference(parity),
            f"{parity.label_agreement:.1%}\nof {parity.samples}",
            f"{accuracy.value:.3f}\n{accuracy.low:.3f} to {accuracy.high:.3f}" if accuracy else "",
            "" if drop is None else f"{drop:+.3f}",
        )


def rows(manifest: Manifest, measured: Mapping[str, Measured] | None = None) -> list[Row]:
    """Return a row a variant, in the manifest's order.

    Args:
        manifest: of the bundle.
        measured: costs by variant; by default those that the manifest names.
    """
    if measured is None:
        measured = {one.name: one.measured for one in manifest.variants if one.measured}
    dense: dict[Runtime, float] = {}
    for one in manifest.variants:
        if (one.precision, one.mode) == ("fp32", "clip") and one.name in measured:
            dense.setdefault(one.runtime, measured[one.name].p50_ms)
    return [_row(one, measured.get(one.name), dense.get(one.runtime)) for one in manifest.variants]


def megabytes(variant: Variant) -> float:
    """Return the size of a variant's files in 10^6 bytes."""
    return sum(entry.bytes for entry in variant.files) / 1e6


def machines(found: Sequence[Row]) -> str:
    """Say where the costs were measured: each machine with its threads."""
    told = {f"{row.measured.machine}, {row.measured.threads} threads" for row in found if row.measured}
    return "; ".join(sorted(told)) or "not measured"


def evidence(heatmap: FloatArray, label: int, anomaly: AnomalySpec | None) -> FloatArray:
    """Return what a map says for a label, as it is drawn.

    The map of an anomaly is not scaled to its own maximum, which good pictures have as well. It is drawn on
    the scale on which the training room draws maps alone, so that the worst place stands out.

    Args:
        heatmap: (K, T, H, W) float32.
        label: index of the label.
        anomaly: how maps are read, where they are those of an anomaly.

    Returns:
        (H, W) float32, 0..1.
    """
    if anomaly is None:
        return class_map(heatmap, label)
    span = max(_BEYOND_GOOD * (anomaly.map_high - anomaly.map_low), _LEAST_SPAN)
    drawn: FloatArray = np.clip(
        (heatmap[label].mean(axis=0) - anomaly.map_low) / span, 0.0, 1.0, dtype=np.float32
    )
    return drawn


def _row(variant: Variant, measured: Measured | None, dense_ms: float | None) -> Row:
    known = measured is not None and measured.p50_ms > 0 and dense_ms is not None
    return Row(variant, measured, dense_ms / measured.p50_ms if known and measured and dense_ms else None)


def _difference(parity: Parity) -> str:
    """Say how far a variant is from the trained network: in numbers where it is exact, in effect else."""
    if parity.tolerance is not None:
        return f"logits {parity.logits_max_abs:.0e}\nheatmap {parity.heatmap_max_abs:.0e}"
    parts = []
    if parity.score_mean_abs is not None:
        parts.append(f"score {parity.score_mean_abs:.1e}")
    if parity.heatmap_correlation is not None:
        parts.append(f"heatmap r {parity.heatmap_correlation:.4f}")
    return "\n".join(parts)
