"""The inference runtimes, by name. A runtime's library is imported when a session of it is opened.

Adding one takes a module with a class that has `run` (see `base.Session`) and is built from
(model bytes, threads), and one line in `RUNTIMES`.
"""

from __future__ import annotations

from importlib import import_module

from vedette_edge.bundle import Bundle
from vedette_edge.errors import MissingExtraError, RuntimeBackendError
from vedette_edge.manifest import Variant
from vedette_edge.runtimes.base import Session

__all__ = ["RUNTIMES", "Session", "open_session"]

RUNTIMES: dict[str, tuple[str, str]] = {
    "onnx": ("vedette_edge.runtimes.onnx", "OnnxSession"),
}


def open_session(bundle: Bundle, variant: Variant, *, threads: int = 0) -> Session:
    """Load a variant of a bundle, its digest checked.

    Args:
        bundle: where the model lies.
        variant: which form of it.
        threads: threads of one inference; 0 leaves the choice to the runtime.

    Raises:
        RuntimeBackendError: when this version has no such runtime, or it cannot load the model.
        MissingExtraError: when the runtime's library is not installed.
        BundleError: when the model file is missing or is not the one that the manifest names.
    """
    if variant.runtime not in RUNTIMES:
        known = ", ".join(sorted(RUNTIMES))
        raise RuntimeBackendError(
            f"variant '{variant.name}' needs runtime '{variant.runtime}'; this version has: {known}"
        )
    module_name, class_name = RUNTIMES[variant.runtime]
    try:
        factory = getattr(import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or variant.runtime, variant.runtime) from error
    session: Session = factory(bundle.read(variant.files[0]), threads)
    return session
