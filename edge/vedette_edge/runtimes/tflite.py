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
from vedette_edge.runtimes.base import CLIP_INPUT, FRAME_INPUT, OUTPUTS, Provider, next_name
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


def clip_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> LitertSession:
    """Load a variant of mode `clip`; see `runtimes.Runtime`."""
    del variant, providers
    return LitertSession(_Model(files[0], threads, [CLIP_INPUT], OUTPUTS))


def stream_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> LitertStreaming:
    """Load a variant of mode `stream`; see `runtimes.Runtime`.

    Raises:
        RuntimeBackendError: when LiteRT cannot load it, or its state is not what the manifest names.
    """
    del providers
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
    """An interpreter whose tensors have names; for one thread at a time, which holds `lock`."""

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
        self.lock = threading.Lock()

    def write(self, name: str, values: FloatArray) -> None:
        """Set an input."""
        tensor = self.inputs[name]
        try:
            self._interpreter.set_tensor(tensor.index, tensor.stored(values))
        except ValueError as error:
            raise _failed(error) from error

    def write_back(self, output: str, name: str) -> None:
        """Set an input to an output of the last call, without a copy in between."""
        tensor = self._outputs[output]
        self.write(name, tensor.values(self._interpreter.tensor(tensor.index)()))

    def invoke(self) -> Outputs:
        """Run, and return what the model tells."""
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise _failed(error) from error
        return Outputs(*map(self.read, OUTPUTS))

    def read(self, name: str) -> FloatArray:
        """Return a copy of an output of the last call."""
        tensor = self._outputs[name]
        return tensor.values(self._interpreter.get_tensor(tensor.index))


def _by_name(details: Mapping[str, Mapping[str, Any]], names: Iterable[str], what: str) -> dict[str, _Tensor]:
    expected = list(names)
    if sorted(details) != sorted(expected):
        raise RuntimeBackendError(
            f"the {what} of this LiteRT model are {', '.join(sorted(details))}, expected "
            f"{', '.join(sorted(expected))}; convert the run again"
        )
    return {name: _Tensor.of(details[name]) for name in expected}


def _failed(error: Exception) -> RuntimeBackendError:
    return RuntimeBackendError(f"LiteRT failed in inference: {one_line(error)}")


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
        with self._model.lock:
            self._model.write(CLIP_INPUT, clip)
            return self._model.invoke()


class LitertStreaming:
    """A model in LiteRT that follows streams; threads take turns.

    The state of the stream that came last stays in the interpreter, so that a single stream costs one copy of
    it a frame; that of the others waits in their own memory.
    """

    def __init__(self, model: _Model, state: Sequence[StateTensor]) -> None:
        """Follow streams with a loaded model that carries `state`."""
        self._model = model
        self._tensors = state
        self._last: LitertStream | None = None

    def open_stream(self) -> LitertStream:
        """Begin a stream."""
        return LitertStream(self)

    def begin(self, stream: LitertStream) -> None:
        """Set a stream's state to zeros."""
        # Without the lock, a stream that takes this one's place could bring the old state back.
        with self._model.lock:
            stream.waiting = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in self._tensors}

    def step(self, stream: LitertStream, frame: FloatArray) -> Outputs:
        """Give a stream's next frame, (1, C, 1, H, W), to the model."""
        with self._model.lock:
            self._model.write(FRAME_INPUT, frame)
            self._bring(stream)
            outputs = self._model.invoke()
            stream.waiting = None
        return outputs

    def _bring(self, stream: LitertStream) -> None:
        """Set the model's state to that of a stream."""
        last, names = self._last, [tensor.name for tensor in self._tensors]
        if last is not None and last is not stream and last.waiting is None:
            last.waiting = {name: self._model.read(next_name(name)) for name in names}
        self._last = stream
        for name in names:
            if stream.waiting is None:
                self._model.write_back(next_name(name), name)
            else:
                self._model.write(name, stream.waiting[name])


class LitertStream:
    """One stream.

    Attributes:
        waiting: its state, unless that lies in the interpreter.
    """

    def __init__(self, streaming: LitertStreaming) -> None:
        """Begin with a state of zeros."""
        self._streaming = streaming
        self.waiting: dict[str, FloatArray] | None = None
        self.reset()

    def push(self, frames: FloatArray) -> Outputs:
        """Take the next frames; see `runtimes.Stream`.

        Raises:
            RuntimeBackendError: when LiteRT fails; unless a frame had a wrong shape, reset the stream.
        """
        return frame_by_frame(frames, lambda frame: self._streaming.step(self, frame))

    def reset(self) -> None:
        """Forget all frames."""
        self._streaming.begin(self)
