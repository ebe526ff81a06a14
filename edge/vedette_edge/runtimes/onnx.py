"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.types import FloatArray, Outputs

__all__ = ["OnnxSession", "clip_session"]

_FATAL_ONLY = 4


def clip_session(files: Sequence[bytes], variant: Variant, threads: int) -> OnnxSession:
    """Load a variant of mode `clip`; see `runtimes.Runtime`."""
    del variant
    return OnnxSession(files[0], threads)


class OnnxSession:
    """A model in ONNX Runtime, with outputs named `logits` and `heatmap`."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        """Load a model.

        Args:
            model: the content of an .onnx file without external data.
            threads: threads of one inference; 0 leaves the choice to ONNX Runtime.

        Raises:
            RuntimeBackendError: when ONNX Runtime cannot load it.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL_ONLY
        # Spinning threads would burn a core between two frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own that share no public base
            raise RuntimeBackendError(
                f"ONNX Runtime {ort.__version__} cannot load the model: {error}"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when ONNX Runtime fails.
        """
        try:
            logits, heatmap = self._session.run(["logits", "heatmap"], {self._input: clips})
        except Exception as error:  # as above
            raise RuntimeBackendError(f"ONNX Runtime failed in inference: {error}") from error
        return Outputs(np.asarray(logits, np.float32), np.asarray(heatmap, np.float32))
