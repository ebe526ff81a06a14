"""ONNX Runtime, on the CPU or on what else its build offers.

An accelerator that cannot be started, or fails in inference, is an error, never a silent change to the CPU:
who opened the session decides what comes next.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import onnxruntime as ort

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.machine import cores
from vedette_edge.manifest import StateTensor, Variant
from vedette_edge.runtimes.base import FRAME_INPUT, OUTPUTS, Provider, next_name
from vedette_edge.runtimes.shared import check_state, clip_by_clip, frame_by_frame, one_line
from vedette_edge.types import FloatArray, Outputs

__all__ = ["OnnxSession", "OnnxStream", "OnnxStreaming", "clip_session", "providers", "stream_session"]

_FATAL_ONLY = 4
_CPU: tuple[Provider, ...] = ("cpu",)
_NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int8)": "int8"}


def providers() -> Sequence[Provider]:
    """Return what the installed build offers, the fastest kind first, the CPU last."""
    offered = ort.get_available_providers()
    return tuple(provider for provider in get_args(Provider) if _NAMES[provider] in offered)


def clip_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> OnnxSession:
    """Load a variant of mode `clip`; see `runtimes.Runtime`."""
    del variant
    return OnnxSession(files[0], threads, providers)


def stream_session(
    files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
) -> OnnxStreaming:
    """Load a variant of mode `stream`; see `runtimes.Runtime`.

    Raises:
        RuntimeBackendError: when ONNX Runtime cannot load it, or its state is not what the manifest names.
    """
    session = _load(files[0], threads, providers)
    found = {one.name: (tuple(one.shape), _TYPES.get(one.type, one.type)) for one in session.get_inputs()}
    found.pop(FRAME_INPUT, None)
    check_state(variant, found)
    return OnnxStreaming(session, variant.state)


class OnnxSession:
    """A model in ONNX Runtime, with outputs named `logits` and `heatmap`.

    Attributes:
        any_batch: whether one call takes any number of clips.
    """

    def __init__(self, model: bytes, threads: int = 0, providers: Sequence[Provider] = _CPU) -> None:
        """Load a model.

        Args:
            model: the content of an .onnx file without external data.
            threads: threads of one inference; 0 leaves the choice to ONNX Runtime.
            providers: what it runs on, and what the parts run on that the first cannot do.

        Raises:
            RuntimeBackendError: when ONNX Runtime cannot load it, or cannot start the first provider.
        """
        self._session = _load(model, threads, providers)
        only = self._session.get_inputs()[0]
        self._input = only.name
        self.any_batch = only.shape[:1] != [1]

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when ONNX Runtime fails.
        """
        return self._run(clips) if self.any_batch else clip_by_clip(clips, self._run)

    def _run(self, clips: FloatArray) -> Outputs:
        try:
            logits, heatmap = self._session.run(OUTPUTS, {self._input: clips})
        except Exception as error:  # ONNX Runtime raises classes of its own that share no public base
            raise _failed(error) from error
        return Outputs(np.asarray(logits, np.float32), np.asarray(heatmap, np.float32))


class OnnxStreaming:
    """A model in ONNX Runtime that follows streams; threads may share it."""

    def __init__(self, session: ort.InferenceSession, state: Sequence[StateTensor]) -> None:
        """Follow streams with a loaded model that carries `state`."""
        self._session = session
        self._state = state

    def open_stream(self) -> OnnxStream:
        """Begin a stream."""
        return OnnxStream(self._session, self._state)


class OnnxStream:
    """One stream; its state lies in two sets of buffers that swap, so that no call copies it."""

    def __init__(self, session: ort.InferenceSession, state: Sequence[StateTensor]) -> None:
        """Begin with a state of zeros."""
        self._session = session
        self._state = state
        self.reset()

    def push(self, frames: FloatArray) -> Outputs:
        """Take the next frames; see `runtimes.Stream`.

        Raises:
            RuntimeBackendError: when ONNX Runtime fails; the state is then that before the frame.
        """
        return frame_by_frame(frames, self._step)

    def reset(self) -> None:
        """Forget all frames."""
        one, other = self._zeros(), self._zeros()
        self._now, self._then = self._bound(one, other), self._bound(other, one)

    def _zeros(self) -> dict[str, Any]:
        return {
            tensor.name: ort.OrtValue.ortvalue_from_numpy(np.zeros(tensor.shape, tensor.dtype))
            for tensor in self._state
        }

    def _bound(self, before: dict[str, Any], after: dict[str, Any]) -> ort.IOBinding:
        binding = self._session.io_binding()
        for name in OUTPUTS:
            binding.bind_output(name)
        for name in before:
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(next_name(name), after[name])
        return binding

    def _step(self, frame: FloatArray) -> Outputs:
        try:
            self._now.bind_cpu_input(FRAME_INPUT, frame)
            self._session.run_with_iobinding(self._now)
        except Exception as error:  # as above
            raise _failed(error) from error
        # Copied, because the next call but one writes into the same memory.
        logits, heatmap = (np.array(one.numpy(), np.float32) for one in self._now.get_outputs()[:2])
        self._now, self._then = self._then, self._now
        return Outputs(logits, heatmap)


def _load(model: bytes, threads: int, providers: Sequence[Provider]) -> ort.InferenceSession:
    wished = [_NAMES[provider] for provider in providers]
    if wished[0] not in ort.get_available_providers():
        raise RuntimeBackendError(
            f"this build of ONNX Runtime {ort.__version__} has no {wished[0]}; it has: "
            f"{', '.join(ort.get_available_providers())}"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL_ONLY
    # Threads that sleep between two small operators cost a third of a frame's time; threads that spin on
    # after the call would burn a core until the next frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Where no folder is, no weights can be found: else files of the working directory, whose digest nobody
    # checked, would be taken for external data.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = ort.InferenceSession(
            model, options, providers=wished, provider_options=[_settings(one, threads) for one in providers]
        )
    except Exception as error:  # as above
        if "xternal" in str(error):
            raise RuntimeBackendError(
                "this ONNX model keeps weights in further files (external data), and only what lies in the "
                "model's own file is loaded; save it with all weights in one file, or convert the run again"
            ) from error
        raise RuntimeBackendError(
            f"ONNX Runtime {ort.__version__} cannot load the model: {one_line(error)}"
        ) from error
    if session.get_providers()[0] != wished[0]:
        raise RuntimeBackendError(
            f"ONNX Runtime {ort.__version__} cannot start {wished[0]}; install its drivers and libraries"
        )
    session.disable_fallback()
    return session


def _settings(provider: Provider, threads: int) -> dict[str, str]:
    # XNNPACK has threads of its own, and takes one unless told.
    return {"intra_op_num_threads": str(threads or cores())} if provider == "xnnpack" else {}


def _failed(error: Exception) -> RuntimeBackendError:
    return RuntimeBackendError(f"ONNX Runtime failed in inference: {one_line(error)}")
