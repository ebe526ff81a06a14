"""`vedette-train anomaly`: use, measure and show detectors; and what `fit` and `evaluate` do for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vedette_edge.errors import ConfigError
from vedette_train.commands.options import RunArgument
from vedette_train.console import console, log, progress

__all__ = ["app", "evaluate_detector", "fit_detector"]

app = typer.Typer(help="Find what does not look like the good pictures.", no_args_is_help=True)


@app.command(epilog="Example:  vedette-train anomaly detect runs/magnetic_tile new/ --out out/detected")
def detect(
    run: RunArgument,
    images: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for detections.csv and overlays/.")],
) -> None:
    """Judge pictures; write a table and the pictures with heatmaps over them."""
    from vedette_train.anomaly.detect import DETECTIONS_FILE, detect_files, find_pictures
    from vedette_train.anomaly.run import open_anomaly_run

    paths = find_pictures(images)
    opened = open_anomaly_run(run)
    with progress("judge") as on_progress:
        found = detect_files(opened, paths, out, on_progress)
    for one in found:
        if one.problem:
            log(f"left out: {one.problem}", style="yellow")
    bad = sum(one.bad is True for one in found)
    log(f"{bad} of {sum(one.bad is not None for one in found)} pictures are bad: {out / DETECTIONS_FILE}")


@app.command(epilog="Example:  vedette-train anomaly profile runs/magnetic_tile --out out/profile")
def profile(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables; default RUN/profile.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Pictures timed.")] = 5,
) -> None:
    """Measure time and memory of every operation, for backbone, detector and both."""
    from vedette_train.anomaly.profiling import profile_run
    from vedette_train.anomaly.run import open_anomaly_run
    from vedette_train.anomaly.training import choose_device

    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device}: expected auto, cpu or cuda")
    opened = open_anomaly_run(run)
    for one in profile_run(opened, out or run / "profile", choose_device(device), repeats=repeats):
        log(f"{one.name:<9} {one.milliseconds:8.2f} ms a picture   {one.path}")


@app.command(epilog="Example:  vedette-train anomaly auroc runs/seed-0 runs/seed-1 --without development.txt")
def auroc(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    only: Annotated[Path | None, typer.Option(help="File that names the pictures that count.")] = None,
    without: Annotated[Path | None, typer.Option(help="File that names pictures that do not count.")] = None,
) -> None:
    """Print the image AUROC of runs, on all their test pictures or on some, and the mean."""
    from vedette_train.anomaly.compare import auroc_on, read_names

    kept = read_names(only) if only else frozenset()
    dropped = read_names(without) if without else frozenset()
    found = [auroc_on(run, kept, dropped) for run in runs]
    for run, interval in zip(runs, found, strict=True):
        typer.echo(f"{interval}   {run}")
    typer.echo(f"{sum(interval.value for interval in found) / len(found):.3f} mean")


@app.command(epilog="Example:  vedette-train anomaly ui --runs runs")
def ui(
    runs: Annotated[Path, typer.Option(help="Folder where runs are kept and found.")] = Path("runs"),
    recipe: Annotated[str, typer.Option(help="Recipe that uploaded pictures are trained with.")] = "anomaly",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
) -> None:
    """Open a page on this machine: train on uploaded good pictures, load a run, judge pictures."""
    from vedette_train.anomaly.recipe import load_anomaly_recipe

    loaded = load_anomaly_recipe(recipe, set_ or ())
    from vedette_train.anomaly.ui import serve

    serve(loaded, runs, port)


def fit_detector(
    recipe: str, data: Path | None, out: Path | None, overrides: list[str] | None, *, resume: bool
) -> None:
    """Train a recipe whose task is anomaly; what `vedette-train fit` does for it.

    Raises:
        ConfigError: when the recipe is not valid, or nobody says where the data is.
    """
    from vedette_train.anomaly.recipe import load_anomaly_recipe

    loaded = load_anomaly_recipe(recipe, overrides or ())
    root = data or loaded.data.root
    if root is None:
        raise ConfigError(f"recipe '{loaded.name}' names no data: say where it is with --data DIR")
    from vedette_train.anomaly.training import fit_anomaly

    run = fit_anomaly(loaded, root, out or Path("runs") / loaded.name, resume=resume)
    _print(run.directory)


def evaluate_detector(directory: Path, data: Path | None) -> None:
    """Judge the test pictures of a run again; what `vedette-train evaluate` does for it."""
    from vedette_train.anomaly.evaluate import evaluate_anomaly, write_anomaly_report
    from vedette_train.anomaly.run import open_anomaly_run

    run = open_anomaly_run(directory)
    write_anomaly_report(run, evaluate_anomaly(run, data))
    _print(directory)


def _print(directory: Path) -> None:
    from vedette_train.runs import METRICS_FILE

    metrics: dict[str, Any] = json.loads((directory / METRICS_FILE).read_text(encoding="utf-8"))
    table = Table(title=str(directory), title_justify="left")
    for column in ("", "value", "95 % interval", "pictures"):
        table.add_column(column)
    rows = {"image AUROC": metrics.get("image_auroc")}
    rows |= {f"  {kind}": row for kind, row in metrics.get("kinds", {}).items() if len(metrics["kinds"]) > 1}
    rows |= {"bad found": metrics.get("found"), "good passed": metrics.get("passed")}
    for name, row in rows.items():
        if row:
            interval = f"{row['low']:.3f} to {row['high']:.3f}"
            table.add_row(name, f"{row['value']:.3f}", interval, str(row["samples"]))
    for name, key in (("pixel AUROC", "pixel_auroc"), ("PRO", "pro")):
        if metrics.get(key) is not None:
            table.add_row(name, f"{metrics[key]:.3f}", "", str(metrics["masks"]))
    table.add_row("threshold", f"{metrics['threshold']['value']:.4g}", "", "")
    console.print(table)
