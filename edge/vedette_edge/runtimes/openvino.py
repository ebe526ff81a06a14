"""OpenVINO on the CPU. A stream's state lies in the infer request, as variables of the model."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import openvino as ov

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.runtimes.base import OUTPUTS, Provider
from vedette_edge.runtimes.shared import check_state, clip_by_clip, frame_by_frame, one_line
from vedette_edge.types import FloatArray, Outputs

__all__ = ["OpenvinoSession", "OpenvinoStream", "OpenvinoStreaming", "clip_session", "stream_session"]

# One for the process, never given up. The CPU plugin of each sets a signal stack for the thread that loads
# it; where a second one goes, it puts back that of the first, which is gone, and the next signal kills the
# process (seen with OpenVINO 2026.4).
_CORE = ov.Core()


def clip_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> OpenvinoSession:
    """Load a variant of mode `clip`; see `runtimes.Runtime`."""
    del providers
    return OpenvinoSession(_compile(_read(files, variant), variant, threads))


def stream_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> OpenvinoStreaming:
    """Load a variant of mode `stream`; see `runtimes.Runtime`.

    Raises:
        RuntimeBackendError: when OpenVINO cannot load it, or its state is not what the manifest names.
    """
    del providers
    model = _read(files, variant)
    infos = [variable.info for variable in model.get_variables()]
    check_state(variant, {one.variable_id: (_shape(one.data_shape), _type(one.data_type)) for one in infos})
    return OpenvinoStreaming(_compile(model, variant, threads))


class OpenvinoSession:
    """A compiled model with outputs named `logits` and `heatmap`; threads take turns.

    Attributes:
        any_batch: whether one call takes any number of clips.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        """Run a compiled model."""
        self._request = compiled.create_infer_request()
        self.any_batch = bool(compiled.input(0).partial_shape[0].is_dynamic)
        self._lock = threading.Lock()

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when OpenVINO fails.
        """
        return self._run(clips) if self.any_batch else clip_by_clip(clips, self._run)

    def _run(self, clips: FloatArray) -> Outputs:
        with self._lock:
            return _infer(self._request, clips)


class OpenvinoStreaming:
    """A compiled model with variables; threads may share it."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        """Follow streams with a compiled model."""
        self._compiled = compiled

    def open_stream(self) -> OpenvinoStream:
        """Begin a stream."""
        return OpenvinoStream(self._compiled.create_infer_request())


class OpenvinoStream:
    """One stream."""

    def __init__(self, request: ov.InferRequest) -> None:
        """Follow a stream with a request of its own."""
        self._request = request

    def push(self, frames: FloatArray) -> Outputs:
        """Take the next frames; see `runtimes.Stream`.

        Raises:
            RuntimeBackendError: when OpenVINO fails.
        """
        return frame_by_frame(frames, lambda frame: _infer(self._request, frame))

    def reset(self) -> None:
        """Forget all frames."""
        self._request.reset_state()


def _read(files: Sequence[bytes], variant: Variant) -> ov.Model:
    if len(files) != 2:
        raise RuntimeBackendError(
            f"variant '{variant.name}': a model for OpenVINO is two files, .xml and .bin, found {len(files)}"
            "; convert the run again"
        )
    try:
        return _CORE.read_model(model=files[0], weights=files[1])
    except RuntimeError as error:
        raise _unloadable(error) from error


def _compile(model: ov.Model, variant: Variant, threads: int) -> ov.CompiledModel:
    settings: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    if variant.precision == "fp32":
        # Else it is bfloat16 on the processors that have it.
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    try:
        return _CORE.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise _unloadable(error) from error


def _unloadable(error: RuntimeError) -> RuntimeBackendError:
    if "can't protect" in str(error):
        return RuntimeBackendError(
            "OpenVINO writes machine code as it loads a model, and this process may not; where systemd runs "
            "it, set MemoryDenyWriteExecute=no, or choose a variant of another runtime"
        )
    return RuntimeBackendError(f"OpenVINO {ov.__version__} cannot load the model: {one_line(error)}")


def _infer(request: ov.InferRequest, values: FloatArray) -> Outputs:
    try:
        request.infer({0: values}, share_inputs=True)
        # Copied, because the next call writes into the same memory.
        logits, heatmap = (np.array(request.get_tensor(name).data, np.float32) for name in OUTPUTS)
    except RuntimeError as error:
        raise RuntimeBackendError(f"OpenVINO failed in inference: {one_line(error)}") from error
    return Outputs(logits, heatmap)


def _shape(shape: ov.PartialShape) -> tuple[int, ...]:
    return tuple(-1 if length.is_dynamic else length.get_length() for length in shape)


def _type(element: ov.Type) -> str:
    return str(element.to_dtype())
