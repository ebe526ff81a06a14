"""What the runtimes share: to cut a call into what a model takes, and to check the state it carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.types import FloatArray, Outputs, joined

__all__ = ["check_state", "clip_by_clip", "frame_by_frame", "one_line"]


def clip_by_clip(clips: FloatArray, run: Callable[[FloatArray], Outputs]) -> Outputs:
    """Run a model that takes one clip at a time on (N, C, T, H, W) clips."""
    return joined([run(clips[index : index + 1]) for index in range(len(clips))])


def frame_by_frame(frames: FloatArray, step: Callable[[FloatArray], Outputs]) -> Outputs:
    """Give (1, C, n, H, W) frames to a model that takes one at a time, (1, C, 1, H, W)."""
    count = frames.shape[2]
    return joined([step(np.ascontiguousarray(frames[:, :, index : index + 1])) for index in range(count)])


def check_state(variant: Variant, found: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Tell whether a model carries the state that the manifest names.

    Args:
        variant: with the state as the manifest has it.
        found: shape and NumPy's name of the type of each tensor of the model's state, by name.

    Raises:
        RuntimeBackendError: when the two differ; names both.
    """
    expected = {tensor.name: (tensor.shape, tensor.dtype) for tensor in variant.state}
    if found == expected:
        return
    different = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    sentences = [f"{name}: {_told(expected.get(name))}, found {_told(found.get(name))}" for name in different]
    raise RuntimeBackendError(
        f"variant '{variant.name}': the state of its model is not what the manifest names: expected "
        f"{'; '.join(sentences)}; convert the run again"
    )


def one_line(error: Exception) -> str:
    """Return the text of a library's error on one line."""
    return " ".join(str(error).split())


def _told(tensor: tuple[tuple[int, ...], str] | None) -> str:
    return "none" if tensor is None else f"{tensor[1]} {list(tensor[0])}"
