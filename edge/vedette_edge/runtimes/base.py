"""What the agent asks of an inference runtime: one method."""

from __future__ import annotations

from typing import Protocol

from vedette_edge.types import FloatArray, Outputs

__all__ = ["Session"]


class Session(Protocol):
    """A loaded model."""

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for a batch of clips.

        Args:
            clips: (N, C, T, H, W) float32, from `preprocess.to_tensor`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...
