"""LiteRT (TensorFlow Lite) on the CPU; `tflite-runtime` serves where only that is installed.

A model has the signature `serving_default`, with inputs and outputs by name. Integer tensors are turned from
and to float by their scale and zero point, so a caller sees float32 at all times.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import MissingExtraError, RuntimeBackendError
from vedette_edge.machine import cores
from vedette_edge.manifest import StateTensor, Variant
from vedette_edge.runtimes.base import CLIP_INPUT, FRAME_INPUT, OUTPUTS, next_name
from vedette_edge.runtimes.shared import check_state, clip_by_clip, frame_by_frame, one_line
from vedette_edge.types import FloatArray, Outputs

try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingExtraError("ai_edge_litert", "tflite") from error

__all__ = ["LitertSession", "LitertStream", "LitertStreaming", "clip_session", "stream_session"]

_SIGNATURE = "serving_default"


def clip_session(files: Sequence[bytes], variant: Variant, threads: int) -> LitertSession:
    """Load a variant of mode `clip`; see `runtimes.Runtime`."""
    del variant
    return LitertSession(_Model(files[0], threads, [CLIP_INPUT], OUTPUTS))


def stream_session(files: Sequence[bytes], variant: Variant, threads: int) -> LitertStreaming:
    """Load a variant of mode `stream`; see `runtimes.Runtime`.

    Raises:
        RuntimeBackendError: when LiteRT cannot load it, or its state is not what the manifest names.
    """
    names = [tensor.name for tensor in variant.state]
    model = _Model(files[0], threads, [FRAME_INPUT, *names], [*OUTPUTS, *map(next_name, names)])
    tensors = {name: one for name, one in model.inputs.items() if name != FRAME_INPUT}
    check_state(variant, {name: (one.shape, str(one.dtype)) for name, one in tensors.items()})
    return LitertStreaming(model, variant.state)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor of an interpreter; the values of integers are (stored - zero) * scale."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero: int

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> _Tensor:
        """Read what the interpreter says of a tensor."""
        shape = tuple(int(length) for length in details["shape"])
        scale, zero = details["quantization"]
        return cls(details["index"], shape, np.dtype(details["dtype"]), float(scale), int(zero))

    @property
    def _is_integer(self) -> bool:
        return self.dtype.kind in "iu"

    def stored(self, values: FloatArray) -> NDArray[Any]:
        """Return values as the tensor holds them; what is out of range is cut."""
        if not self._is_integer:
            return np.asarray(values, self.dtype)
        limits = np.iinfo(self.dtype)
        whole = np.round(values / self.scale) + self.zero
        return np.asarray(np.clip(whole, limits.min, limits.max), self.dtype)

    def values(self, stored: NDArray[Any]) -> FloatArray:
        """Return what the tensor holds as float32."""
        if not self._is_integer:
            return np.asarray(stored, np.float32)
        return np.asarray((stored.astype(np.float32) - self.zero) * self.scale, np.float32)


class _Model:
    """An interpreter whose tensors have names; threads take turns."""

    def __init__(self, data: bytes, threads: int, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        # Left alone it takes one thread, however many cores there are.
        threads = threads or cores()
        try:
            self._interpreter = Interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner(_SIGNATURE)
        except (ValueError, RuntimeError) as error:
            raise RuntimeBackendError(f"LiteRT cannot load the model: {one_line(error)}") from error
        self.inputs = _by_name(signature.get_input_details(), inputs, "inputs")
        self._outputs = _by_name(signature.get_output_details(), outputs, "outputs")
        self._lock = threading.Lock()

    def run(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Return the outputs, by name, for inputs by name.

        Raises:
            RuntimeBackendError: when LiteRT fails.
        """
        try:
            with self._lock:
                for name, tensor in self.inputs.items():
                    self._interpreter.set_tensor(tensor.index, tensor.stored(values[name]))
                self._interpreter.invoke()
                return {
                    name: tensor.values(self._interpreter.get_tensor(tensor.index))
                    for name, tensor in self._outputs.items()
                }
        except (ValueError, RuntimeError) as error:
            raise RuntimeBackendError(f"LiteRT failed in inference: {one_line(error)}") from error


def _by_name(details: Mapping[str, Mapping[str, Any]], names: Iterable[str], what: str) -> dict[str, _Tensor]:
    expected = list(names)
    if sorted(details) != sorted(expected):
        raise RuntimeBackendError(
            f"the {what} of this LiteRT model are {', '.join(sorted(details))}, expected "
            f"{', '.join(sorted(expected))}; convert the run again"
        )
    return {name: _Tensor.of(details[name]) for name in expected}


class LitertSession:
    """A model in LiteRT that takes one clip at a time; threads take turns."""

    def __init__(self, model: _Model) -> None:
        """Run a loaded model."""
        self._model = model

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when LiteRT fails.
        """
        return clip_by_clip(clips, self._run)

    def _run(self, clip: FloatArray) -> Outputs:
        found = self._model.run({CLIP_INPUT: clip})
        return Outputs(*(found[name] for name in OUTPUTS))


class LitertStreaming:
    """A model in LiteRT that follows streams; threads take turns."""

    def __init__(self, model: _Model, state: Sequence[StateTensor]) -> None:
        """Follow streams with a loaded model that carries `state`."""
        self._model = model
        self._state = state

    def open_stream(self) -> LitertStream:
        """Begin a stream."""
        return LitertStream(self._model, self._state)


class LitertStream:
    """One stream; its state goes into the interpreter for each frame, and comes out again."""

    def __init__(self, model: _Model, state: Sequence[StateTensor]) -> None:
        """Begin with a state of zeros."""
        self._model = model
        self._tensors = state
        self.reset()

    def push(self, frames: FloatArray) -> Outputs:
        """Take the next frames; see `runtimes.Stream`.

        Raises:
            RuntimeBackendError: when LiteRT fails; the state is then that before the frame.
        """
        return frame_by_frame(frames, self._step)

    def reset(self) -> None:
        """Forget all frames."""
        self._state = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in self._tensors}

    def _step(self, frame: FloatArray) -> Outputs:
        found = self._model.run({FRAME_INPUT: frame, **self._state})
        self._state = {name: found[next_name(name)] for name in self._state}
        return Outputs(*(found[name] for name in OUTPUTS))
