"""What the variants of a bundle cost on the machine that builds it, measured as a device measures them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vedette_edge.benchmark import run_benchmark
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import ProofError
from vedette_edge.manifest import Manifest

__all__ = ["with_costs"]


def with_costs(
    directory: Path, *, seconds: float = 0.5, on_progress: Callable[[str, int, int], None] | None = None
) -> Manifest:
    """Return the manifest of a bundle with the cost of each variant.

    Args:
        directory: the bundle, complete but for the costs.
        seconds: to measure each variant for, at least.
        on_progress: called with the variant's name, its number from 1, and how many there are.

    Raises:
        ProofError: when a variant does not load from its files, or misses its golden outputs.
    """
    bundle = open_bundle(directory)
    found = run_benchmark(bundle, seconds=seconds, on_progress=on_progress)
    if found.refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.refused.items())
        raise ProofError(f"{directory}: not every variant can be used as it lies on the disk: {reasons}")
    variants = tuple(
        variant.model_copy(update={"measured": found.measured[variant.name]})
        for variant in bundle.manifest.variants
    )
    return bundle.manifest.model_copy(update={"variants": variants})
