"""The runtimes, and whether they run the bundles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from vedette_edge.benchmark import run_benchmark
from vedette_edge.bundle import open_bundle
from vedette_edge.config import AUTO, ModelConfig
from vedette_edge.operation.doctor.finding import Finding, fail, ok, warn

__all__ = ["installed_version", "model", "runtimes"]

_LIBRARIES = (("onnxruntime", "onnxruntime-gpu"), ("openvino",), ("ai-edge-litert", "tflite-runtime"))


def installed_version(distributions: Iterable[str]) -> str:
    """Return the version of the first of these that is installed; "" where none is."""
    for name in distributions:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""


def runtimes(installed: Callable[[Iterable[str]], str] = installed_version) -> Finding:
    """Name the inference runtimes that are installed."""
    found = [installed(names) for names in _LIBRARIES]
    names = ", ".join(filter(None, found))
    if not names:
        return fail("runtimes", "none is installed", "run  pip install 'vedette[onnx]'")
    return ok("runtimes", names)


def model(name: str, config: ModelConfig) -> Iterator[Finding]:
    """Tell which variants of a model load here and reproduce their golden samples, each in its own process.

    Args:
        name: of the model in the configuration.
        config: its section.

    Raises:
        BundleError: when the bundle cannot be read.
    """
    subject = f"model {name}"
    bundle = open_bundle(config.bundle)
    tried = run_benchmark(bundle, threads=config.threads, seconds=0.0)
    wanted = [one.name for one in bundle.manifest.variants] if config.variant == AUTO else [config.variant]
    works = [variant for variant in wanted if variant in tried.measured]
    for variant in works:
        cost = tried.measured[variant].p50_ms
        yield ok(subject, f"variant '{variant}' reproduces its golden samples, {cost:.1f} ms a call")
    for variant in (variant for variant in wanted if variant not in works):
        text = f"variant '{variant}' does not work here: {tried.refused.get(variant, 'the bundle has none')}"
        if works:
            yield warn(subject, text, "another one does, and is used; see to it if this one should be faster")
        else:
            yield fail(subject, text, "install its runtime, or convert the model for one that is here")
