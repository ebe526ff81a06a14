"""`vedette-train fit`, `crossval`, `evaluate` and `recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_train.commands.anomaly import evaluate_detector, fit_detector
from vedette_train.commands.options import (
    DataOption,
    RecipeArgument,
    RunArgument,
    SetOption,
    load,
    print_metrics,
    task_of,
)
from vedette_train.console import progress

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train fit demo --data out/data --out runs/demo")
def fit(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<recipe>.")] = None,
    set_: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
) -> None:
    """Train a recipe on a folder of classes, or of good pictures where its task is anomaly."""
    if task_of(recipe, set_) == "anomaly":
        fit_detector(recipe, data, out, set_, resume=resume)
        return
    loaded, root = load(recipe, data, set_)
    # Only now, because it takes seconds, and a wrong recipe should be told at once.
    from vedette_train.fit import fit as run_fit

    run = run_fit(loaded, root, out or Path("runs") / loaded.name, resume=resume)
    print_metrics(run.directory)


@app.command(epilog="Example:  vedette-train crossval actions --data ~/videos --out runs/actions-cv")
def crossval(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Gets a run a fold; default runs/<recipe>-cv.")] = None,
    set_: SetOption = None,
) -> None:
    """Train once for each fold and judge every video by a network that never saw its group."""
    loaded, root = load(recipe, data, set_)
    from vedette_train.crossval import cross_validate

    directory = out or Path("runs") / f"{loaded.name}-cv"
    cross_validate(loaded, root, directory)
    print_metrics(directory)


@app.command(epilog="Example:  vedette-train evaluate runs/demo")
def evaluate(
    run: RunArgument,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
) -> None:
    """Predict the validation videos of a run again, and write its report anew."""
    from vedette_train.anomaly.run import is_anomaly_run
    from vedette_train.evaluate import evaluate_run, write_report
    from vedette_train.runs import open_run

    if is_anomaly_run(run):
        evaluate_detector(run, data)
        return
    opened = open_run(run)
    with progress("evaluate") as on_progress:
        predictions = evaluate_run(opened, data, on_progress)
    write_report(run, opened.info.labels, predictions, opened.split_name)
    print_metrics(run)


@app.command()
def recipes() -> None:
    """List the packaged recipes."""
    from vedette_train.settings import packaged_recipes, read_settings

    for name in packaged_recipes():
        typer.echo(f"{name:<14} {read_settings(name)[0]['description'].strip()}")
