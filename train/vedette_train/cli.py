"""The commands of `vedette-train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vedette_edge import __version__
from vedette_edge.errors import ConfigError
from vedette_train.console import console, log, progress

__all__ = ["app"]

app = typer.Typer(
    name="vedette-train",
    help="From a folder of videos to a measured run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(help="Make and inspect datasets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

RecipeArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a packaged recipe.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of classes; overrides data.root.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: train.epochs=5")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette-train {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example:  vedette-train fit demo --data out/data --out runs/demo")
def fit(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<recipe>.")] = None,
    set_: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
) -> None:
    """Train a recipe on a folder of classes."""
    loaded, root = _load(recipe, data, set_)
    # Only now, because it takes seconds, and a wrong recipe should be told at once.
    from vedette_train.fit import fit as run_fit

    run = run_fit(loaded, root, out or Path("runs") / loaded.name, resume=resume)
    _print_metrics(run.directory)


@app.command(epilog="Example:  vedette-train crossval actions --data ~/videos --out runs/actions-cv")
def crossval(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Gets a run a fold; default runs/<recipe>-cv.")] = None,
    set_: SetOption = None,
) -> None:
    """Train once for each fold and judge every video by a network that never saw its group."""
    loaded, root = _load(recipe, data, set_)
    from vedette_train.crossval import cross_validate

    directory = out or Path("runs") / f"{loaded.name}-cv"
    cross_validate(loaded, root, directory)
    _print_metrics(directory)


@app.command(epilog="Example:  vedette-train evaluate runs/demo")
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
) -> None:
    """Predict the validation videos of a run again, and write its report anew."""
    from vedette_train.evaluate import evaluate_run, write_report
    from vedette_train.runs import open_run

    opened = open_run(run)
    with progress("evaluate") as on_progress:
        predictions = evaluate_run(opened, data, on_progress)
    write_report(run, opened.info.labels, predictions, opened.split_name)
    _print_metrics(run)


@app.command()
def recipes() -> None:
    """List the packaged recipes."""
    from vedette_train.recipe import load_recipe, packaged_recipes

    for name in packaged_recipes():
        typer.echo(f"{name:<12} {load_recipe(name).description.strip()}")


@data_app.command(epilog="Example:  vedette-train data synth --out out/data --clips 30")
def synth(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    clips: Annotated[int, typer.Option(min=1, help="Clips of each class.")] = 40,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a clip.")] = 3.0,
    fps: Annotated[float, typer.Option(min=1.0, help="Frame rate; clips vary around it.")] = 25.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    timeline: Annotated[
        float | None, typer.Option(min=5.0, help="Write one long video of this many seconds instead.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Draw people doing exercises into real video files.

    Writes a folder of classes with groups.csv, or with --timeline one video with several actions and a
    .timeline.json of what happens when.
    """
    from vedette_train.data.synthetic import write_dataset, write_timeline_video

    if timeline is None:
        with progress("draw clips") as on_progress:
            write_dataset(
                out,
                clips_per_class=clips,
                seconds=seconds,
                seed=seed,
                fps=fps,
                workers=workers,
                on_progress=on_progress,
            )
        log(f"wrote {out}")
        return
    out.mkdir(parents=True, exist_ok=True)
    video = out / f"timeline-{seed}.mp4"
    with progress("draw video") as on_progress:
        truth = write_timeline_video(video, seconds=timeline, seed=seed, fps=fps, on_progress=on_progress)
    log(f"wrote {video} with {len(truth.actions)} actions")


def _load(recipe: str, data: Path | None, overrides: list[str] | None) -> tuple[Any, Path]:
    from vedette_train.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    root = data or loaded.data.root
    if root is None:
        raise ConfigError(f"recipe '{loaded.name}' names no data: say where it is with --data DIR")
    return loaded, root


def _print_metrics(directory: Path) -> None:
    import json

    from vedette_train.runs import METRICS_FILE

    metrics = json.loads((directory / METRICS_FILE).read_text(encoding="utf-8"))
    table = Table(title=f"{directory}  ({metrics['split']})", title_justify="left")
    for column in ("", "value", "95 % interval", "videos"):
        table.add_column(column)
    rows = {"accuracy": metrics["accuracy"], "macro F1": metrics["macro_f1"]}
    rows |= {f"recall {label}": recall for label, recall in metrics["recall"].items() if recall}
    for name, row in rows.items():
        table.add_row(
            name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["samples"])
        )
    console.print(table)
