"""From a finished run to a bundle: export, prove, describe. A failed proof writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vedette_converters.bundle import BundleWriter, new_bundle, refuse_existing
from vedette_converters.graph import clip_graph
from vedette_converters.measure import measure
from vedette_converters.parity import (
    FP32_TOLERANCE,
    Judged,
    difference,
    judge,
    reference_outputs,
    write_proof,
)
from vedette_converters.samples import VideoClips, reported_clips
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DataError, ProofError, UsageError
from vedette_edge.manifest import Golden, InputSpec, Label, Manifest, OutputSpec, Proof, Provenance, Variant
from vedette_edge.preprocess import to_tensor
from vedette_edge.proof import check_golden
from vedette_edge.runtimes import open_session
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.types import FloatArray, Outputs
from vedette_train.data.split import PARTS
from vedette_train.evaluate import dataset_root
from vedette_train.models import HeatmapModel
from vedette_train.runs import METRICS_FILE, Run, library_versions, open_run

__all__ = ["convert"]

_GOLDEN_SAMPLES = 2
_MIN_AGENT = "0.1.0"


@dataclass(frozen=True, slots=True)
class _GoldenSample:
    """One clip with the outputs of the PyTorch model."""

    frames: NDArray[np.uint8]  # (T, H, W, 3)
    tensor: FloatArray  # (1, C, T, H, W)
    outputs: Outputs


def convert(
    directory: Path,
    out: Path,
    *,
    data: Path | None = None,
    release: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write a bundle from a finished run.

    Args:
        directory: the run.
        out: the bundle; must not exist.
        data: the run's dataset, where it moved.
        release: counter that rises with every release.
        on_progress: called with (done, total) videos.

    Returns:
        The bundle's manifest.

    Raises:
        UsageError: when `out` exists, or the run was trained with `data.faithful`.
        DataError: when the run or the videos it reports on cannot be read.
        ProofError: when the exported model differs from the trained one; nothing is written.
    """
    refuse_existing(out)
    run = open_run(directory)
    if run.recipe.data.faithful:
        raise UsageError(
            f"{directory} was trained with data.faithful, and the published data path cannot run on a "
            "device; train it again without"
        )
    metrics = _metrics(run)
    network = cast(HeatmapModel, run.network())
    dataset_root(run, data)  # told now, not after the export
    exported = to_onnx(clip_graph(network, run.recipe.data.input))
    session = OnnxSession(exported.contents[0])
    judged, golden = _judge_all(run, network, session, data, on_progress)
    proof = _proved(judged, run)
    with new_bundle(out) as writer:
        variant = Variant(
            name="onnx-fp32-clip",
            runtime="onnx",
            precision="fp32",
            mode="clip",
            files=(writer.add("model.onnx", exported.contents[0]),),
            opset=exported.opset,
            measured=measure(session, golden[0].tensor),
            proof=proof,
        )
        expected = _joined(golden)
        outputs = OutputSpec(
            logits=expected.logits.shape[1:], heatmap=expected.heatmap.shape[1:], cells=network.heatmap_cells
        )
        stored = _store_golden(golden, expected, writer)
        manifest = _manifest(run, metrics, variant, outputs, stored, release)
        writer.finish(manifest)
        # The device's own check, on the files as they lie on the disk.
        bundle = open_bundle(writer.directory)
        check_golden(bundle, variant, open_session(bundle, variant))
    return manifest


def _judge_all(
    run: Run,
    network: HeatmapModel,
    session: OnnxSession,
    data: Path | None,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[list[Judged], list[_GoldenSample]]:
    """Judge every video that the run reports on; the first windows of two different labels are golden."""
    judged: list[Judged] = []
    golden: dict[str, _GoldenSample] = {}
    for video in reported_clips(run, data, on_progress):
        reference = reference_outputs(network, video.tensor)
        truth = run.info.labels.index(video.sample.label)
        judged.append(judge(video, truth, reference, session, run.decision.temperature))
        if len(golden) < _GOLDEN_SAMPLES:
            golden.setdefault(video.sample.label, _golden_of(video, network, run.recipe.data.input))
    return judged, list(golden.values())


def _golden_of(video: VideoClips, network: HeatmapModel, spec: InputSpec) -> _GoldenSample:
    """Judge a video's first window by its frames alone, which are all that the device is given of it."""
    frames = video.frames[0]
    tensor = to_tensor(list(frames), spec)
    return _GoldenSample(frames, tensor, reference_outputs(network, tensor))


def _proved(judged: Sequence[Judged], run: Run) -> Proof:
    found = difference(judged)
    if not found.within(FP32_TOLERANCE):
        raise ProofError(
            f"{run.directory}: the exported model is not the trained one: largest difference "
            f"{found.logits_max:.1e} (logits), {found.heatmap_max:.1e} (heatmap), allowed "
            f"{FP32_TOLERANCE:.0e}, labels agree on {found.label_agreement:.1%}; no bundle was written"
        )
    return write_proof(judged, found, FP32_TOLERANCE, run.split_name)


def _joined(golden: Sequence[_GoldenSample]) -> Outputs:
    return Outputs(
        np.concatenate([sample.outputs.logits for sample in golden]),
        np.concatenate([sample.outputs.heatmap for sample in golden]),
    )


def _store_golden(golden: Sequence[_GoldenSample], expected: Outputs, writer: BundleWriter) -> Golden:
    return Golden(
        inputs=writer.add_array("golden/inputs.npy", np.stack([sample.frames for sample in golden])),
        logits=writer.add_array("golden/logits.npy", expected.logits),
        heatmap=writer.add_array("golden/heatmap.npy", expected.heatmap),
        # Another processor sums in another order; the proof above was made on this one.
        tolerance=10 * FP32_TOLERANCE,
    )


def _manifest(
    run: Run,
    metrics: dict[str, Any],
    variant: Variant,
    outputs: OutputSpec,
    golden: Golden,
    release: int,
) -> Manifest:
    recipe, info = run.recipe, run.info
    return Manifest(
        schema_version=1,
        name=recipe.name.replace("_", "-"),
        task="classify",
        architecture=recipe.model.name,
        release=release,
        min_agent=_MIN_AGENT,
        labels=tuple(Label(name=n, alarm=n not in recipe.data.background) for n in info.labels),
        input=recipe.data.input,
        outputs=outputs,
        decision=run.decision,
        variants=(variant,),
        golden=golden,
        provenance=_provenance(run, metrics),
    )


def _metrics(run: Run) -> dict[str, Any]:
    path = run.directory / METRICS_FILE
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); run  vedette-train evaluate {run.directory}  first"
        ) from error
    return metrics


def _provenance(run: Run, metrics: dict[str, Any]) -> Provenance:
    return Provenance(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        # Where the data lay is the building machine's business.
        recipe=run.recipe.model_dump(mode="json", exclude={"data": {"root"}}),
        dataset=run.info.dataset,
        split={part: tuple(sorted({sample.group for sample in run.info.part(part)})) for part in PARTS},
        seed=run.recipe.seed,
        versions=run.info.versions | library_versions(),
        metrics=metrics,
    )
