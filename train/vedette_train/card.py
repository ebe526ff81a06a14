"""The model card of a run [Mitchell et al. 2019]: what it is, how good, on what, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vedette_train.data.split import PARTS
from vedette_train.runs import SPLIT_FILE, Run

__all__ = ["FIGURES", "model_card"]

# Names of figures in metrics.json, and for a reader.
FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall (sensitivity)",
    "specificity": "specificity",
    "auc": "ROC AUC",
    "average_precision": "average precision",
}


def model_card(run: Run, metrics: dict[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        run: a finished run.
        metrics: what `report.write_report` returned of it.
    """
    recipe, info = run.recipe, run.info
    sections = [
        f"# {recipe.name}",
        recipe.description.strip() or "A classifier of short video clips.",
        _section("What it is", _what(run)),
        _section("Data", _data(run)),
        _section("Training", _training(run)),
        _section("Figures", _figures(metrics)),
        "![Confusion](confusion.png)\n![ROC, precision and recall](roc.png)\n![Reliability](reliability.png)",
        _section("Calibration", _calibration(run, metrics)),
        _section("Intended use", _use(run)),
        _section("Limits", _limits(run, metrics)),
        _section("Versions", "\n".join(f"- {name} {version}" for name, version in info.versions.items())),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n{text}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _what(run: Run) -> str:
    recipe, spec = run.recipe, run.recipe.data.input
    arguments = ", ".join(f"{key} {value}" for key, value in recipe.model.arguments.items())
    background = ", ".join(recipe.data.background) or "none"
    return "\n".join(
        (
            f"- network: {recipe.model.name}" + (f" ({arguments})" if arguments else ""),
            f"- input: {spec.frames} frames of {spec.width} x {spec.height} pixels at {spec.fps:g} a second "
            f"({spec.seconds:.2g} s), {spec.streams}, {spec.crop}",
            f"- classes: {', '.join(run.info.labels)}; raising no alarm: {background}",
            f"- weights: of the {recipe.train.keep} epoch",
        )
    )


def _data(run: Run) -> str:
    info = run.info
    rows = []
    for name in PARTS:
        samples = info.part(name)
        counts = [str(sum(sample.label == label for sample in samples)) for label in info.labels]
        rows.append((name, str(len(samples)), str(len({sample.group for sample in samples})), *counts))
    lines = [
        f"Dataset {info.dataset[:12]} (SHA-256 over names and sizes), {len(info.unreadable)} videos "
        f"unreadable. Every video's part is in {SPLIT_FILE}; the figures below are of: {run.split_name}.",
        "",
        _table(("part", "videos", "groups", *info.labels), rows),
    ]
    if info.crossing:
        lines += [
            "",
            f"**{len(info.crossing)} groups are both trained on and held out: the figures flatter.**",
        ]
    return "\n".join(lines)


def _training(run: Run) -> str:
    train, init = run.recipe.train, run.recipe.init
    start = f"the weights of {init.weights}" if init.weights else "random weights"
    if init.run:
        start = f"the run {init.run.name}"
    if init.slim:
        start += f", of which {init.slim.ratio:.0%} of the channels were removed"
    return (
        f"From {start}; {train.epochs} epochs, batches of {train.batch_size}, {train.optimizer}, "
        f"highest rate {train.lr:g}, weight decay {train.weight_decay:g}, label smoothing "
        f"{train.label_smoothing:g}, schedule {train.schedule}, precision {train.precision}, "
        f"seed {run.recipe.seed}{_teacher(run)}. Everything else is in recipe.yaml."
    )


def _teacher(run: Run) -> str:
    distil = run.recipe.train.distil
    return f", taught by the run {distil.run.name} with weight {distil.weight:g}" if distil else ""


def _figures(metrics: dict[str, Any]) -> str:
    lines = [
        f"On {metrics['accuracy']['samples']} videos ({metrics['split']}). 95 % intervals: "
        f"{metrics['intervals']}.",
        "",
        _table(
            ("figure", "value", "95 % interval"),
            ((name, *_cells(metrics[key])) for key, name in FIGURES.items() if key in metrics),
        ),
        "",
        _table(
            ("class", "precision", "recall", "F1", "AUC against the rest"),
            (
                (label, *(" ".join(_cells(row[key])) for key in ("precision", "recall", "f1", "auc")))
                for label, row in metrics["labels"].items()
            ),
        ),
    ]
    if metrics["positive"]:
        lines.insert(1, f"Precision, recall, specificity, F1 and AUC are those of: {metrics['positive']}.")
    return "\n".join(lines)


def _cells(figure: dict[str, float] | None) -> tuple[str, str]:
    if figure is None:
        return "-", ""
    return f"{figure['value']:.3f}", f"[{figure['low']:.3f}, {figure['high']:.3f}]"


def _calibration(run: Run, metrics: dict[str, Any]) -> str:
    found, fitted = metrics["calibration"], run.info.calibration
    before, after = found["before"], found["after"]
    of = f"over the {before['windows']} windows of these videos"
    if fitted is None or after is None:
        return (
            f"None: the temperature is the recipe's, {found['temperature']:g}. Expected calibration error "
            f"{before['ece']:.3f}, negative log-likelihood {before['nll']:.3f}, {of}."
        )
    return (
        f"Temperature {fitted.temperature:.3f}, fitted on {fitted.windows} windows of {fitted.videos} "
        f"validation videos. Expected calibration error {before['ece']:.3f} before, {after['ece']:.3f} "
        f"after; negative log-likelihood {before['nll']:.3f} before, {after['nll']:.3f} after, {of}."
    )


def _use(run: Run) -> str:
    alarms = [label for label in run.info.labels if label not in run.recipe.data.background]
    return (
        f"To call a person's attention to: {', '.join(alarms)}. It proposes; a person looks at the picture "
        "and decides. It is for cameras and scenes like those of its data."
    )


def _limits(run: Run, metrics: dict[str, Any]) -> str:
    groups = len({sample.group for sample in run.info.reported})
    lines = [
        f"- The figures are of {groups} groups (people, scenes or sources); others may be harder.",
        "- It knows no class but those above: whatever else it sees, it calls one of them.",
        "- It does not identify people, and must not decide about them by itself.",
    ]
    if unseen := [label for label, row in metrics["labels"].items() if row["recall"] is None]:
        lines.append(
            f"- Nothing is known of how well it finds: {', '.join(unseen)} (no such video was held out)."
        )
    if not run.info.test:
        lines.append(
            "- There is no test part: epochs may have been chosen on the very videos that are reported."
        )
    return "\n".join(lines)
