"""`edge-agent tune`: finds a camera's `decision` by labelled clips."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from vedette_edge.config import AUTO, CameraConfig, ModelConfig, alarm_labels, decision_for, load_config
from vedette_edge.engine import Model, open_model
from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import Decision, Manifest
from vedette_edge.tuning.clips import LabelledClip, read_clips
from vedette_edge.tuning.figures import figures_of
from vedette_edge.tuning.judged import Footage, VerdictStore, default_store, judge_clips
from vedette_edge.tuning.report import curve, decision_section, footage_text, report
from vedette_edge.tuning.search import best, candidates, cross_validated, folds_of, neighbours
from vedette_edge.tuning.trials import run_trials

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's arguments."""
    tune = commands.add_parser(
        "tune",
        help="find thresholds that keep a bound on false alarms",
        description="Judges labelled clips with a model, tries many rules of decision on them, and prints "
        "the `decision` that finds most actions with at most so many false alarms an hour, and what it is "
        "worth on clips that had no say in it. What the model says is kept, for the next run.",
        epilog="example: edge-agent tune --bundle bundle --clips data/violence --out decision.yaml",
    )
    tune.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="that vedette-convert wrote")
    tune.add_argument("--clips", type=Path, required=True, metavar="DIR", help="a folder for each label")
    tune.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help="CSV: path, label, group (default: groups.csv in --clips)",
    )
    tune.add_argument(
        "--max-false-alarms-per-hour",
        type=_positive,
        default=1.0,
        metavar="X",
        help="of a camera to which nothing happens (default: %(default)s)",
    )
    tune.add_argument(
        "--negative",
        action="append",
        default=[],
        metavar="LABEL",
        help="a folder of clips of nothing that the model knows; may be given again",
    )
    tune.add_argument("--config", type=Path, metavar="FILE", help="begin with one of its cameras")
    tune.add_argument("--camera", metavar="ID", help="which camera of --config")
    tune.add_argument("--variant", default=AUTO, metavar="NAME", help="of the bundle (default: %(default)s)")
    tune.add_argument("--folds", type=_at_least_two, default=5, metavar="N", help="default: %(default)s")
    tune.add_argument(
        "--out", type=Path, metavar="FILE", help="write the section there, not to standard output"
    )
    tune.add_argument(
        "--cache", type=Path, metavar="DIR", help=f"keep verdicts there (default: {default_store()})"
    )
    tune.set_defaults(command=_tune)


def _tune(options: argparse.Namespace) -> None:
    model = open_model(ModelConfig(bundle=options.bundle, variant=options.variant))
    camera = _camera(options)
    given = decision_for(camera, model.manifest.decision) if camera else model.manifest.decision
    labels = _alarming(camera, model.manifest)
    clips = read_clips(options.clips, options.groups or options.clips / "groups.csv")
    _check_labels(clips, [label.name for label in model.manifest.labels], labels, options.negative)
    samples = _judge(clips, model, given, options.cache or default_store()).samples
    folds = folds_of(samples, labels, options.folds)
    bound = options.max_false_alarms_per_hour

    trials = run_trials(samples, candidates(samples, given, labels), labels, _searched)
    held_out = figures_of(trials, cross_validated(trials, folds, bound))
    index = best(trials, np.ones(len(samples), np.bool_), bound)
    in_sample = figures_of(trials, np.full(len(samples), index))
    chosen = trials.decisions[index]

    print(footage_text(samples, trials), "", sep="\n")
    print(report(held_out, in_sample, folds=len(set(folds)), bound=bound), "", sep="\n")
    print(curve(run_trials(samples, neighbours(samples, chosen, labels), labels), chosen), "", sep="\n")
    _give(decision_section(chosen, held_out, bundle=model.bundle.digest, bound=bound), options.out)


def _give(section: str, out: Path | None) -> None:
    if out is None:
        print(section, end="")
        return
    try:
        write_atomically(out, section.encode())
    except OSError as error:
        raise DataError(f"{out}: cannot write the section there ({error.strerror})") from error
    print(f"decision: {out}")


def _alarming(camera: CameraConfig | None, manifest: Manifest) -> dict[str, int]:
    names = [label.name for label in manifest.labels]
    if camera is None:
        return {label.name: index for index, label in enumerate(manifest.labels) if label.alarm}
    return {names[index]: index for index in alarm_labels(camera, manifest)}


def _camera(options: argparse.Namespace) -> CameraConfig | None:
    if (options.config is None) != (options.camera is None):
        raise UsageError("--config and --camera belong together: give both, or neither")
    if options.config is None:
        return None
    cameras = {camera.id: camera for camera in load_config(options.config).cameras}
    if options.camera not in cameras:
        known = ", ".join(cameras)
        raise ConfigError(f"{options.config}: there is no camera '{options.camera}'; there is: {known}")
    camera: CameraConfig = cameras[options.camera]
    if camera.rules or camera.schedule:
        print("the camera's rules, zones and schedules are left out: clips are judged whole", file=sys.stderr)
    return camera


def _check_labels(
    clips: Sequence[LabelledClip], known: Sequence[str], alarming: Collection[str], negative: Sequence[str]
) -> None:
    labels = {clip.label for clip in clips}
    if both := sorted(set(negative) & set(alarming)):
        raise UsageError(f"--negative {both[0]}: this label may alarm, so its clips are actions")
    unknown = sorted(labels - {*known, *negative})
    if unknown:
        raise DataError(
            f"the model knows no label {', '.join(unknown)}; it knows: {', '.join(known)}. Name a folder "
            f"in which nothing of these happens with --negative {unknown[0]}"
        )
    if not labels & set(alarming):
        raise DataError(f"no clip shows what may alarm ({', '.join(alarming)}): there is nothing to find")


def _judge(clips: Sequence[LabelledClip], model: Model, given: Decision, directory: Path) -> Footage:
    judged_with = (model.bundle.digest, model.variant.name, str(given.hop), str(given.temperature))
    footage = judge_clips(clips, model.judge(given), VerdictStore(directory, *judged_with), _judged)
    for name, why in footage.refused.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    if not footage.samples:
        raise DataError("not one of the clips could be decoded")
    return footage


def _judged(name: str, number: int, count: int) -> None:
    _progress(f"judging {number} of {count}: {name}", number, count)


def _searched(done: int, count: int) -> None:
    _progress(f"trying rules: {done + 1} of {count}", done + 1, count)


def _progress(text: str, number: int, count: int) -> None:
    """Rewrite one line of a terminal; elsewhere, tell of every tenth part."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if number == count else "", file=sys.stderr, flush=True)
    elif number * 10 // count > (number - 1) * 10 // count:
        print(text, file=sys.stderr, flush=True)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _at_least_two(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 2 or more")
    return int(text)
