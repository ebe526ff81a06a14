"""The inference runtimes, by name. A runtime's library is imported when a session of it is opened.

Adding one takes a module with the functions of `Runtime`, and one line in `RUNTIMES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from vedette_edge.bundle import Bundle
from vedette_edge.errors import MissingExtraError, RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.runtimes.base import Session, Stream, StreamingSession

__all__ = [
    "RUNTIMES",
    "Runtime",
    "Session",
    "Stream",
    "StreamingSession",
    "load",
    "open_session",
    "open_streaming",
]

RUNTIMES: dict[str, str] = {
    "onnx": "vedette_edge.runtimes.onnx",
    "openvino": "vedette_edge.runtimes.openvino",
    "tflite": "vedette_edge.runtimes.tflite",
}


class Runtime(Protocol):
    """What the module of a runtime has."""

    def clip_session(self, files: Sequence[bytes], variant: Variant, threads: int) -> Session:
        """Load the files of a variant of mode `clip`; 0 threads: the runtime chooses.

        Raises:
            RuntimeBackendError: when the runtime cannot load it.
        """
        ...

    def stream_session(self, files: Sequence[bytes], variant: Variant, threads: int) -> StreamingSession:
        """Load the files of a variant of mode `stream`; see `clip_session`."""
        ...


def open_session(bundle: Bundle, variant: Variant, *, threads: int = 0) -> Session:
    """Load a variant of mode `clip`, its digest checked.

    Args:
        bundle: where the model lies.
        variant: which form of it.
        threads: threads of one inference; 0 leaves the choice to the runtime.

    Raises:
        RuntimeBackendError: when this version has no such runtime, or it cannot load the model.
        MissingExtraError: when the runtime's library is not installed.
        BundleError: when a model file is missing or is not the one that the manifest names.
    """
    return cast(Session, load(_contents(bundle, variant, "clip"), variant, threads))


def open_streaming(bundle: Bundle, variant: Variant, *, threads: int = 0) -> StreamingSession:
    """Load a variant of mode `stream`; see `open_session`."""
    return cast(StreamingSession, load(_contents(bundle, variant, "stream"), variant, threads))


def load(files: Sequence[bytes], variant: Variant, threads: int = 0) -> Session | StreamingSession:
    """Load a variant from the contents of its files, in the manifest's order.

    Raises:
        RuntimeBackendError: as `open_session`.
        MissingExtraError: as `open_session`.
    """
    if variant.runtime not in RUNTIMES:
        known = ", ".join(sorted(RUNTIMES))
        raise RuntimeBackendError(
            f"variant '{variant.name}' needs runtime '{variant.runtime}'; this version has: {known}"
        )
    try:
        runtime = cast(Runtime, import_module(RUNTIMES[variant.runtime]))
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or variant.runtime, variant.runtime) from error
    if variant.mode == "stream":
        return runtime.stream_session(files, variant, threads)
    return runtime.clip_session(files, variant, threads)


def _contents(bundle: Bundle, variant: Variant, mode: str) -> list[bytes]:
    if variant.mode != mode:
        raise RuntimeBackendError(f"variant '{variant.name}' is of mode {variant.mode}, not {mode}")
    return [bundle.read(entry) for entry in variant.files]
