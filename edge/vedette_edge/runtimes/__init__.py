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
from vedette_edge.runtimes.base import BatchSession, Provider, Session, Stream, StreamingSession

__all__ = [
    "CPU",
    "RUNTIMES",
    "BatchSession",
    "Provider",
    "Runtime",
    "Session",
    "Stream",
    "StreamingSession",
    "load",
    "open_session",
    "open_streaming",
    "placements",
]

CPU: tuple[Provider, ...] = ("cpu",)

RUNTIMES: dict[str, str] = {
    "onnx": "vedette_edge.runtimes.onnx",
    "openvino": "vedette_edge.runtimes.openvino",
    "tflite": "vedette_edge.runtimes.tflite",
}


class Runtime(Protocol):
    """What the module of a runtime has."""

    def clip_session(
        self, files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
    ) -> Session:
        """Load the files of a variant of mode `clip`.

        Args:
            files: their contents, in the manifest's order.
            variant: which one.
            threads: of one inference; 0: the runtime chooses.
            providers: what ONNX Runtime is to run it on; the other runtimes have no such choice.

        Raises:
            RuntimeBackendError: when the runtime cannot load it, or not on the first of the providers.
        """
        ...

    def stream_session(
        self, files: Sequence[bytes], variant: Variant, threads: int, providers: Sequence[Provider]
    ) -> StreamingSession:
        """Load the files of a variant of mode `stream`; see `clip_session`."""
        ...


def open_session(
    bundle: Bundle, variant: Variant, *, threads: int = 0, providers: Sequence[Provider] = CPU
) -> Session:
    """Load a variant of mode `clip`, its digest checked.

    Args:
        bundle: where the model lies.
        variant: which form of it.
        threads: threads of one inference; 0 leaves the choice to the runtime.
        providers: one of `placements`.

    Raises:
        RuntimeBackendError: when this version has no such runtime, or it cannot load the model.
        MissingExtraError: when the runtime's library is not installed.
        BundleError: when a model file is missing or is not the one that the manifest names.
    """
    return cast(Session, load(_contents(bundle, variant, "clip"), variant, threads, providers))


def open_streaming(
    bundle: Bundle, variant: Variant, *, threads: int = 0, providers: Sequence[Provider] = CPU
) -> StreamingSession:
    """Load a variant of mode `stream`; see `open_session`."""
    return cast(StreamingSession, load(_contents(bundle, variant, "stream"), variant, threads, providers))


def load(
    files: Sequence[bytes], variant: Variant, threads: int = 0, providers: Sequence[Provider] = CPU
) -> Session | StreamingSession:
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
        return runtime.stream_session(files, variant, threads, providers)
    return runtime.clip_session(files, variant, threads, providers)


def placements(variant: Variant, wished: Sequence[Provider] | None = None) -> list[tuple[Provider, ...]]:
    """Return what a variant may run on here, the first to try first.

    Each is a list of providers: the first does the work, and those behind it the parts that it cannot do. The
    last is the CPU alone. Whether an accelerator is used depends on its golden samples; see `proof`.

    Args:
        variant: which form of a model.
        wished: the providers to try, in order; None: those that the runtime's library offers.
    """
    if variant.runtime != "onnx":
        return [CPU]
    if wished is None:
        try:
            wished = import_module(RUNTIMES["onnx"]).providers()
        except ModuleNotFoundError:
            return [CPU]  # to load it there says what is missing
    every = (*(provider for provider in dict.fromkeys(wished) if provider != "cpu"), *CPU)
    return [every[index:] for index in range(len(every))]


def _contents(bundle: Bundle, variant: Variant, mode: str) -> list[bytes]:
    if variant.mode != mode:
        raise RuntimeBackendError(f"variant '{variant.name}' is of mode {variant.mode}, not {mode}")
    return [bundle.read(entry) for entry in variant.files]
