"""Writes what a bundle is worth as one HTML page: table, charts, heatmaps, state, provenance.

Costs, accuracy and the summaries of the differences are those of the manifest (or of a benchmark of this
machine); histograms and heatmaps come from the golden samples, which every variant runs here again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_converters import page
from vedette_converters.charts import Panel, draw_differences, draw_latency, draw_sizes
from vedette_converters.figures import COLUMNS, Row, evidence, machines, rows
from vedette_converters.replay import Replay
from vedette_edge.files import write_atomically
from vedette_edge.heatmap import overlay
from vedette_edge.manifest import Manifest, Measured, StateTensor, TemporalMode, Variant
from vedette_edge.preprocess import cell_region, resize
from vedette_edge.probabilities import Scale
from vedette_edge.proof import compare, relative
from vedette_edge.stills import encode
from vedette_edge.types import Box, Image, Outputs

__all__ = ["report_page", "write_report"]

_ALL = Box(0.0, 0.0, 1.0, 1.0)  # golden frames are what the network sees, no more
_TILE = 288  # pixels a side, so that a map of few cells is smooth
_WORD_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_WHAT: dict[TemporalMode, str] = {"clip": "clip, mean over time", "stream": "stream, last frame"}


def write_report(
    path: Path, manifest: Manifest, replayed: Replay, measured: Mapping[str, Measured] | None = None
) -> None:
    """Write the page; see `report_page`."""
    write_atomically(path, report_page(manifest, replayed, measured).encode())


def report_page(manifest: Manifest, replayed: Replay, measured: Mapping[str, Measured] | None = None) -> str:
    """Return the page.

    Args:
        manifest: of the bundle.
        replayed: its golden samples, from `replay`.
        measured: costs by variant; by default those that the manifest names.
    """
    found = rows(manifest, measured)
    labels = ", ".join(label.name for label in manifest.labels)
    return page.page(
        f"{manifest.name}, release {manifest.release}",
        f"{manifest.architecture}, {manifest.task}: {labels}",
        [
            _variants(found),
            _refused(manifest),
            _charts(found),
            _differences(manifest, found, replayed),
            _heatmaps(manifest, replayed),
            _state(manifest),
            _kept_float(manifest),
            _provenance(manifest),
        ],
    )


def _variants(found: Sequence[Row]) -> str:
    return page.section(
        "Variants",
        page.table(COLUMNS, [row.texts() for row in found]),
        page.paragraph(
            f"Milliseconds a call: a clip, or one frame of a stream. Measured on: {machines(found)}. "
            "Speed-up: against the fp32 clip variant of the same runtime. Difference: against the trained "
            "network in PyTorch, largest of the outputs where the variant is exact; else the mean of the "
            "probabilities and the correlation r of the heatmaps. Accuracy with its 95 % interval. Drop: "
            "accuracy of the trained network less the variant's.",
            note=True,
        ),
    )


def _refused(manifest: Manifest) -> str:
    if not manifest.refused:
        return page.section("Refused", page.paragraph("Nothing that was asked for was refused."))
    names = [(f"{one.runtime}-{one.precision}-{one.mode}", one.reason) for one in manifest.refused]
    return page.section(
        "Refused",
        page.paragraph("Asked for, and not written:"),
        page.table(("variant", "reason"), names),
    )


def _charts(found: Sequence[Row]) -> str:
    measured = {row.variant.name: row.measured.p50_ms for row in found if row.measured}
    costs = "; ".join(
        f"{row.variant.name} {measured[row.variant.name]:.2f} ms, {row.variant.proof.accuracy.value:.3f}"
        for row in found
        if row.measured and row.variant.proof.accuracy
    )
    if costs:
        latency = page.chart(draw_latency(found), f"Latency against accuracy: {costs}.")
    else:
        latency = page.paragraph("No variant has both, a measured latency and an accuracy.")
    sizes = "; ".join(" ".join(row.texts()[:2]) + " MB" for row in found)
    return page.section(
        "Latency against accuracy",
        latency,
        page.paragraph(
            "Colour: runtime. Circle fp32, triangle fp16, square int8; hollow: stream. Bars: 95 % interval.",
            note=True,
        ),
    ) + page.section("Size", page.chart(draw_sizes(found), f"Size of each variant: {sizes}."))


def _differences(manifest: Manifest, found: Sequence[Row], replayed: Replay) -> str:
    scale = Scale.of(manifest)
    scores, maps = {}, {}
    for variant in manifest.variants:
        if variant.name in replayed.outputs:
            outputs, expected = replayed.outputs[variant.name], replayed.expected(variant)
            scores[variant.name] = np.abs(
                scale.probabilities(outputs.logits) - scale.probabilities(expected.logits)
            )
            maps[variant.name] = relative(outputs.heatmap, expected.heatmap)
    parts = [
        page.paragraph(f"Not run on this machine: {name}. {why}") for name, why in replayed.absent.items()
    ]
    if scores:
        told = "; ".join(f"{name} {float(values.max()):.1e}" for name, values in scores.items())
        alt = f"Histograms of the differences. Largest of the probabilities on the golden samples: {told}."
        panels = [
            Panel("|difference| of probabilities", scores, _proved_scores),
            Panel("|difference| of heatmap cells, relative", maps, _proved_maps),
        ]
        parts.append(page.chart(draw_differences(found, panels), alt))
    return page.section(
        "Difference to the trained network",
        *parts,
        page.paragraph(
            f"Histograms: the probabilities of all labels ({len(manifest.labels)}), and all cells of the "
            f"heatmaps relative to max(1, |reference|), on the {len(replayed.frames)} golden samples, run on "
            "this machine. Marks: mean and largest difference over all samples of the proof. What is smaller "
            "than 1e-9 is drawn there.",
            note=True,
        ),
    )


def _proved_scores(variant: Variant) -> tuple[float | None, float | None]:
    return variant.proof.parity.score_mean_abs, variant.proof.parity.score_max_abs


def _proved_maps(variant: Variant) -> tuple[float, float]:
    return variant.proof.parity.heatmap_mean_abs, variant.proof.parity.heatmap_max_abs


def _heatmaps(manifest: Manifest, replayed: Replay) -> str:
    parts = []
    for number in range(len(replayed.frames)):
        for mode, what in _WHAT.items():
            shown = _worth_seeing([one for one in manifest.variants if one.mode == mode], replayed)
            if shown:
                told = what if manifest.input.frames > 1 else "the picture"
                parts.append(f"<h3>Golden sample {number + 1}: {told}</h3>\n")
                parts.append(page.tiles(_tiles(manifest, replayed, number, shown)))
    return page.section("Heatmaps, dense against int8", *parts)


def _worth_seeing(variants: Sequence[Variant], replayed: Replay) -> list[Variant]:
    """Return the int8 variants that ran; where there are none, all that ran."""
    ran = [one for one in variants if one.name in replayed.outputs]
    return [one for one in ran if one.precision == "int8"] or ran


def _tiles(
    manifest: Manifest, replayed: Replay, number: int, variants: Sequence[Variant]
) -> list[tuple[bytes, str, str]]:
    """Return the frame, the map of the trained network over it, and those of the variants: `page.tiles`."""
    frames = replayed.frames[number]
    frame = _picture(frames[-1 if variants[0].mode == "stream" else len(frames) // 2], manifest)
    reference = _one(replayed.expected(variants[0]), number)
    label = int(reference.logits[0].argmax())
    scale, name = Scale.of(manifest), manifest.labels[label].name
    region = cell_region(_ALL, manifest.input, manifest.outputs)

    def tile(who: str, outputs: Outputs, more: str = "") -> tuple[bytes, str, str]:
        drawn = overlay(frame, evidence(outputs.heatmap[0], label, manifest.anomaly), region)
        told = f"{name} {float(scale.probabilities(outputs.logits)[0, label]):.3f}{more}"
        return (
            encode(drawn).data,
            f"{who}\n{told}",
            f"Heatmap of {who} over golden sample {number + 1}: {told}",
        )

    found = [(encode(frame).data, "frame\nas the network sees it", f"Frame of golden sample {number + 1}")]
    found.append(tile("PyTorch", reference))
    for variant in variants:
        outputs = _one(replayed.outputs[variant.name], number)
        correlation = compare(outputs, reference, scale).heatmap_correlation
        found.append(tile(variant.name, outputs, f", r {correlation:.3f}"))
    return found


def _state(manifest: Manifest) -> str:
    """Say what a stream carries; variants that carry the same are told of together."""
    named: dict[tuple[StateTensor, ...], list[str]] = {}
    for variant in manifest.variants:
        if variant.mode == "stream":
            named.setdefault(variant.state, []).append(variant.name)
    if not named:
        return page.section("State of streams", page.paragraph("There is no stream variant."))
    parts = []
    for state, names in named.items():
        total = sum(map(_state_bytes, state)) / 1e6
        lines = [
            f"{one.name:<40} {' x '.join(map(str, one.shape)):<24} {one.dtype:<8} "
            f"{_state_bytes(one) / 1e3:10.1f} kB"
            for one in state
        ]
        parts.append(page.paragraph(f"{', '.join(names)}: {total:.2f} MB a camera in {len(state)} tensors."))
        parts.append(page.folded("the tensors", "\n".join(lines)))
    return page.section("State of streams", *parts)


def _kept_float(manifest: Manifest) -> str:
    kept = {one.name: ", ".join(one.kept_float) for one in manifest.variants if one.kept_float}
    if not kept:
        return page.section("Layers kept in float", page.paragraph("None had to be."))
    told = "Int8 would lose too much in these, so they compute in floating point:"
    return page.section("Layers kept in float", page.paragraph(told), page.facts(kept))


def _provenance(manifest: Manifest) -> str:
    made = manifest.provenance
    split = ", ".join(f"{part} {len(groups)}" for part, groups in made.split.items())
    return page.section(
        "Provenance",
        page.facts(
            {
                "made": made.created,
                "least agent": manifest.min_agent,
                "dataset": made.dataset,
                "groups": split,
                "seed": str(made.seed),
                "versions": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
            }
        ),
        page.folded("recipe", json.dumps(made.recipe, indent=2)),
        page.folded("metrics of the run", json.dumps(made.metrics, indent=2)),
    )


def _one(outputs: Outputs, number: int) -> Outputs:
    return Outputs(outputs.logits[number : number + 1], outputs.heatmap[number : number + 1])


def _picture(frame: NDArray[np.uint8], manifest: Manifest) -> Image:
    """Return a golden frame as BGR, enlarged."""
    bgr = frame if manifest.input.color == "bgr" else frame[..., ::-1]
    factor = max(1.0, _TILE / min(bgr.shape[:2]))
    return resize(np.ascontiguousarray(bgr), round(factor * bgr.shape[0]), round(factor * bgr.shape[1]))


def _state_bytes(tensor: StateTensor) -> int:
    return int(np.prod(tensor.shape)) * _WORD_BYTES[tensor.dtype]
