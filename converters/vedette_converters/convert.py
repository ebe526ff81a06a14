"""From a finished run to a bundle: write every variant, prove it, describe it.

A variant that fails its proof, or that a runtime cannot express, is left out, and the manifest says why.
Where none is left, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vedette_converters.bundle import BundleWriter, new_bundle, refuse_existing
from vedette_converters.everyday import statistics_of
from vedette_converters.measure import with_costs
from vedette_converters.parity import FP32_TOLERANCE
from vedette_converters.plan import BOUNDS, Plan, Wish
from vedette_converters.samples import Golden, Samples, read_samples
from vedette_converters.subjects import Subject, open_subject
from vedette_converters.targets import release
from vedette_converters.variants import Maker
from vedette_edge.errors import BundleError, ProofError, RuntimeBackendError
from vedette_edge.manifest import Bounds, Manifest, OutputSpec, Provenance, Refusal, Variant
from vedette_edge.manifest import Golden as GoldenFiles

__all__ = ["OnStep", "convert"]

_MIN_AGENT = "0.1.0"
_LIBRARIES = (
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
)

# What is being done, how much of it, of how much.
OnStep = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Outcome:
    variants: list[Variant]
    refused: list[Refusal]


def convert(
    directory: Path,
    out: Path,
    *,
    plan: Plan = Plan(),  # noqa: B008 - frozen
    bounds: Bounds = BOUNDS,
    data: Path | None = None,
    release: int = 1,
    on_step: OnStep | None = None,
) -> Manifest:
    """Write a bundle from a finished run.

    Args:
        directory: the run.
        out: the bundle; must not exist.
        plan: the variants to write.
        bounds: what those that are not exact must keep.
        data: the run's dataset, where it moved.
        release: counter that rises with every release.
        on_step: told what is being done.

    Returns:
        The bundle's manifest.

    Raises:
        UsageError: when `out` exists, or the run is of a kind that no device can run.
        DataError: when the run or the samples it reports on cannot be read.
        MissingExtraError: when a runtime's libraries are not installed.
        ProofError: when no variant is left; nothing is written.
    """
    refuse_existing(out)
    tell = on_step or (lambda *_: None)
    subject = open_subject(directory, data)
    hop = subject.description.decision.hop
    with read_samples(subject, hop, lambda done, total: tell("read and judge", done, total)) as samples:
        maker = Maker(subject, samples, bounds)
        with new_bundle(out) as writer:
            outcome = _write_variants(maker, plan, writer, tell)
            if not outcome.variants:
                reasons = "; ".join(dict.fromkeys(one.reason for one in outcome.refused))
                raise ProofError(f"{directory}: no variant could be proved, no bundle was written: {reasons}")
            manifest = _manifest(subject, samples, outcome, _store_golden(samples.golden, writer), release)
            writer.finish(manifest)
            # The device's own check and cost, on the files as they lie on the disk.
            manifest = with_costs(
                writer.directory, on_progress=lambda name, *of: tell(f"measure {name}", *of)
            )
            writer.finish(manifest)
    return manifest


def _write_variants(maker: Maker, plan: Plan, writer: BundleWriter, tell: OnStep) -> _Outcome:
    outcome = _Outcome([], [])
    wishes = list(plan.wishes(causal=maker.causal))
    try:
        for number, wish in enumerate(wishes):
            tell(f"write {wish.name}", number, len(wishes))
            try:
                outcome.variants.append(maker.make(wish, writer))
            except (BundleError, RuntimeBackendError) as error:
                outcome.refused.append(_refusal(wish, error))
    finally:
        release()
    return outcome


def _refusal(wish: Wish, error: Exception) -> Refusal:
    return Refusal(runtime=wish.runtime, precision=wish.precision, mode=wish.mode, reason=str(error))


def _store_golden(golden: Golden, writer: BundleWriter) -> GoldenFiles:
    return GoldenFiles(
        inputs=writer.add_array("golden/inputs.npy", golden.frames),
        logits=writer.add_array("golden/logits.npy", golden.outputs.logits),
        heatmap=writer.add_array("golden/heatmap.npy", golden.outputs.heatmap),
        # Another processor sums in another order; the proof above was made on this one.
        tolerance=10 * FP32_TOLERANCE,
    )


def _manifest(
    subject: Subject, samples: Samples, outcome: _Outcome, golden: GoldenFiles, release: int
) -> Manifest:
    found = subject.description
    expected = samples.golden.outputs
    return Manifest(
        schema_version=1,
        name=found.name,
        task="classify" if found.anomaly is None else "anomaly",
        architecture=found.architecture,
        release=release,
        min_agent=_MIN_AGENT,
        labels=found.labels,
        input=found.input,
        outputs=OutputSpec(
            logits=expected.logits.shape[1:], heatmap=expected.heatmap.shape[1:], cells=found.cells
        ),
        decision=found.decision,
        anomaly=found.anomaly,
        variants=tuple(outcome.variants),
        refused=tuple(outcome.refused),
        golden=golden,
        statistics=statistics_of(samples, found),
        provenance=_with_libraries(found.provenance),
    )


def _with_libraries(provenance: Provenance) -> Provenance:
    return provenance.model_copy(update={"versions": provenance.versions | dict(_versions())})


def _versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)
