"""What the agent asks of an inference runtime: to run clips, or to follow a stream frame by frame.

And the names of a model's inputs and outputs, by which the converters write them and the runtimes find them.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, runtime_checkable

from vedette_edge.types import FloatArray, Outputs

__all__ = [
    "CLIP_INPUT",
    "FRAME_INPUT",
    "OUTPUTS",
    "BatchSession",
    "Provider",
    "Session",
    "Stream",
    "StreamingSession",
    "next_name",
]

Provider: TypeAlias = Literal["tensorrt", "cuda", "openvino", "xnnpack", "cpu"]
"""An execution provider of ONNX Runtime: what a model, or a part of it, runs on."""

CLIP_INPUT, FRAME_INPUT = "clips", "frame"
OUTPUTS = ("logits", "heatmap")


def next_name(state: str) -> str:
    """Return the name of the output that becomes the input `state` of the next call."""
    return f"next_{state}"


class Session(Protocol):
    """A loaded model that judges clips."""

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for a batch of clips.

        Args:
            clips: (N, C, T, H, W) float32, from `preprocess.to_tensor`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...


@runtime_checkable
class BatchSession(Session, Protocol):
    """A loaded model that may take several clips in one call of its runtime."""

    @property
    def any_batch(self) -> bool:
        """Whether it does; else it runs them one after the other."""
        ...


class Stream(Protocol):
    """One camera's stream through a loaded model; it remembers what it saw. For one thread at a time."""

    def push(self, frames: FloatArray) -> Outputs:
        """Take the next frames of the stream.

        Args:
            frames: (1, C, n, H, W) float32, any n >= 1, as `preprocess.to_tensor` makes them.

        Returns:
            A row a frame: logits (n, K) of the clip that ends with it, and heatmap (n, K, 1, H', W') of it.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...

    def reset(self) -> None:
        """Forget all frames: the stream has a gap."""
        ...


@runtime_checkable
class StreamingSession(Protocol):
    """A loaded model that follows streams; they share its weights, each has a state of its own."""

    def open_stream(self) -> Stream:
        """Begin a stream.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ...
