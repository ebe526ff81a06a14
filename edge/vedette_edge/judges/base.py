"""What judges a camera's frames with one model: frames in, verdicts out. Pure; no clock but the frames'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vedette_edge.types import FloatArray, Frame

__all__ = ["Judge", "Verdict"]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What a network said of a stretch of a stream.

    Attributes:
        start: time of its first sample, seconds of the stream.
        end: time of its last sample, seconds of the stream.
        middle: the time that the decision takes it for, seconds of the stream.
        probabilities: (K,) float32.
        heatmap: (K, T', H', W') float32; see `Outputs.heatmap`.
        frames: what it saw, as the source gave it, oldest first; each slice of the heatmap stands for
            an equal share of them.
    """

    start: float
    end: float
    middle: float
    probabilities: FloatArray
    heatmap: FloatArray
    frames: Sequence[Frame]


class Judge(Protocol):
    """One model on one camera; remembers what it needs of the stream."""

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; return the verdicts that it leads to, and whether the stream started anew.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...

    def finish(self) -> list[Verdict]:
        """End the stream; return what is left to say, and forget it.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...

    def set_hop_factor(self, factor: int) -> None:
        """Judge `factor` times less often, 1 being normal; from any thread.

        Raises:
            ValueError: when it is less than 1.
        """
        ...
