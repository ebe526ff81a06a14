"""`vedette-train fit`, `crossval`, `evaluate` and `recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_edge.errors import UsageError
from vedette_train.commands.anomaly import evaluate_detector, fit_detector
from vedette_train.commands.options import (
    CacheOption,
    DataOption,
    RecipeArgument,
    RunArgument,
    SetOption,
    load,
    print_folds,
    print_metrics,
    task_of,
)
from vedette_train.console import progress

__all__ = ["app"]

app = typer.Typer()


# A look at everything in a minute: a twentieth of the batches, loaded where a debugger can see it.
_DEBUG = ("train.epochs=1", "train.limit_batches=0.05", "train.workers=0", "train.prune=null")


@app.command(epilog="Example:  vedette-train fit demo --data out/data --out runs/demo")
def fit(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<recipe>.")] = None,
    set_: SetOption = None,
    cache: CacheOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes that train together, a GPU each; torchrun works as well.")
    ] = 1,
    debug: Annotated[
        bool, typer.Option("--debug", help="One epoch of 5 % of the batches, and videos of the augmentation.")
    ] = False,
    wandb: Annotated[bool, typer.Option("--wandb", help="Report to Weights & Biases, too.")] = False,
    wandb_project: Annotated[str, typer.Option(help="Its project.")] = "vedette",
    wandb_name: Annotated[str | None, typer.Option(help="Name there; default the run's folder.")] = None,
) -> None:
    """Train a recipe on a folder of classes, or of good pictures where its task is anomaly.

    On several machines or GPUs: torchrun --nproc-per-node 2 -m vedette_train fit demo --data out/data
    """
    if task_of(recipe, set_) == "anomaly":
        if devices > 1 or debug or wandb:
            raise UsageError("--devices, --debug and --wandb are for classification; leave them out")
        fit_detector(recipe, data, out, set_, resume=resume)
        return
    loaded, root = load(recipe, data, [*(set_ or ()), *(_DEBUG if debug else ())])
    # Only now, because it takes seconds, and a wrong recipe should be told at once.
    from vedette_train.fit import fit as run_fit
    from vedette_train.trackers import WandbTarget

    directory = out or Path("runs") / (f"{loaded.name}-debug" if debug else loaded.name)
    target = WandbTarget(wandb_project, wandb_name) if wandb else None
    run = run_fit(
        loaded, root, directory, resume=resume, cache=cache, devices=devices, wandb=target, debug=debug
    )
    print_metrics(run.directory)


@app.command(epilog="Example:  vedette-train crossval actions --data ~/videos --out runs/actions-cv")
def crossval(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Gets a run a fold; default runs/<recipe>-cv.")] = None,
    set_: SetOption = None,
    cache: CacheOption = None,
) -> None:
    """Train once for each fold and judge every video by a network that never saw its group."""
    loaded, root = load(recipe, data, set_)
    from vedette_train.crossval import cross_validate

    directory = out or Path("runs") / f"{loaded.name}-cv"
    metrics = cross_validate(loaded, root, directory, cache=cache)
    print_metrics(directory)
    print_folds(metrics)


@app.command(epilog="Example:  vedette-train evaluate runs/demo")
def evaluate(
    run: RunArgument,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
    part: Annotated[
        str | None, typer.Option(help="test, val or train; default what the run reports.", metavar="PART")
    ] = None,
) -> None:
    """Predict the test videos of a run again, and write its report anew.

    The report of another part goes into a folder of its name in the run.
    """
    from vedette_train.anomaly.run import is_anomaly_run
    from vedette_train.data.split import PARTS
    from vedette_train.report import report_run
    from vedette_train.runs import open_run

    if is_anomaly_run(run):
        evaluate_detector(run, data)
        return
    if part not in (None, *PARTS):
        raise UsageError(f"--part {part}: expected one of {', '.join(PARTS)}")
    opened = open_run(run)
    with progress("evaluate") as on_progress:
        directory = report_run(opened, data, on_progress, next((one for one in PARTS if one == part), None))
    print_metrics(directory)


@app.command()
def recipes() -> None:
    """List the packaged recipes."""
    from vedette_train.settings import packaged_recipes, read_settings

    for name in packaged_recipes():
        typer.echo(f"{name:<20} {read_settings(name)[0]['description'].strip()}")
