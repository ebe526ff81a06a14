"""Runs the variants of a bundle on its golden samples, beside what the PyTorch model said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette_edge.bundle import Bundle
from vedette_edge.errors import MissingExtraError, RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.proof import as_told, golden_outputs
from vedette_edge.runtimes import open_session, open_streaming
from vedette_edge.types import Outputs

__all__ = ["Replay", "replay"]


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What is said of the golden samples.

    Attributes:
        frames: (N, T, H, W, 3) uint8, in the colour order of the input.
        reference: of the PyTorch model.
        outputs: of each variant that runs on this machine, by name.
        absent: why the others do not, by name.
    """

    frames: NDArray[np.uint8]
    reference: Outputs
    outputs: Mapping[str, Outputs]
    absent: Mapping[str, str]

    def expected(self, variant: Variant) -> Outputs:
        """Return the reference in the variant's shape."""
        return as_told(self.reference, variant.mode)


def replay(bundle: Bundle, on_progress: Callable[[int, int], None] | None = None) -> Replay:
    """Run every variant on the golden samples.

    Args:
        bundle: opened.
        on_progress: called with (done, total) variants.

    Raises:
        BundleError: when a file is missing, was changed, or has the wrong shape.
    """
    golden, variants = bundle.manifest.golden, bundle.manifest.variants
    frames = bundle.read_array(golden.inputs).astype(np.uint8)
    reference = Outputs(
        bundle.read_array(golden.logits).astype(np.float32),
        bundle.read_array(golden.heatmap).astype(np.float32),
    )
    outputs, absent = {}, {}
    for done, variant in enumerate(variants, start=1):
        open_ = open_streaming if variant.mode == "stream" else open_session
        try:
            outputs[variant.name] = golden_outputs(open_(bundle, variant), frames, bundle.manifest.input)
        except (MissingExtraError, RuntimeBackendError) as error:
            absent[variant.name] = str(error)
        if on_progress:
            on_progress(done, len(variants))
    return Replay(frames, reference, outputs, absent)
