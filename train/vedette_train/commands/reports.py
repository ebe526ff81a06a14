"""`vedette-train compare`, `summary` and `ablate`: runs against each other."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vedette_edge.errors import DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_train.commands.options import DataOption, RecipeArgument, SetOption, load
from vedette_train.console import console, log

if TYPE_CHECKING:
    from vedette_train.compare import Comparison

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train compare runs/baseline runs/proposed --out compared.json")
def compare(
    first: Annotated[Path, typer.Argument(help="A run, or a cross-validation.")],
    second: Annotated[Path, typer.Argument(help="Another one on the same data.")],
    out: Annotated[Path | None, typer.Option(help="A JSON file to write the comparison into.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The dataset: measure on it what a clip costs each.")
    ] = None,
) -> None:
    """Tell whether one run is better than another, on the videos that both were tested on."""
    from vedette_train.compare import compare as compare_predictions
    from vedette_train.predictions import read_predictions
    from vedette_train.report import read_metrics
    from vedette_train.runs import PREDICTIONS_FILE

    labels, of_first = read_predictions(first / PREDICTIONS_FILE)
    others, of_second = read_predictions(second / PREDICTIONS_FILE)
    if labels != others:
        raise DataError(f"{first} tells {', '.join(labels)} apart and {second} {', '.join(others)}")
    positive = read_metrics(first)["positive"]
    found = compare_predictions(of_first, of_second, labels, positive)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    sentence = found.sentence(*names)
    _print_comparison(found, names)
    console.print(sentence, markup=False)
    costs = _costs((first, second), names, len(labels), data / of_first[0].sample.name) if data else {}
    if out:
        content = {"first": str(first), "second": str(second), "sentence": sentence, **found.to_dict()}
        content["costs"] = costs
        write_atomically(out, (json.dumps(content, indent=2) + "\n").encode())


def _costs(
    runs: tuple[Path, Path], names: tuple[str, str], classes: int, video: Path
) -> dict[str, dict[str, float]]:
    from vedette_train.costs import machine, measure_costs
    from vedette_train.runs import read_recipe

    recipes = {name: read_recipe(run) for name, run in zip(names, runs, strict=True)}
    found = measure_costs(recipes, classes, video)
    table = Table(title=f"one clip  ({machine()})", title_justify="left")
    for column in ("", "parameters", "GMACs", "network, ms", "flow, ms"):
        table.add_column(column)
    for name, cost in found.items():
        times = (f"{value:.2f}" for value in (cost.gmacs, cost.network_ms, cost.flow_ms))
        table.add_row(name, f"{cost.parameters:,}", *times)
    console.print(table)
    return {name: asdict(cost) for name, cost in found.items()}


def _print_comparison(found: Comparison, names: tuple[str, str]) -> None:
    table = Table(
        title=f"{found.mcnemar.n} videos of {found.groups} groups that both judged "
        f"({found.only_first} and {found.only_second} that only one did)",
        title_justify="left",
    )
    for column in ("", *names, "difference", "95 % interval"):
        table.add_column(column)
    for name, row in found.differences.items():
        interval = f"{row.low:+.3f} to {row.high:+.3f}"
        table.add_row(
            name.replace("_", " "), f"{row.first:.3f}", f"{row.second:.3f}", f"{row.value:+.3f}", interval
        )
    test = found.mcnemar
    table.add_row("only this one right", str(test.b), str(test.c), "", f"McNemar p = {test.p:.2g}")
    if found.delong is not None:
        table.add_row("AUC, videos independent", "", "", "", f"DeLong p = {found.delong:.2g}")
    console.print(table)


@app.command(epilog="Example:  vedette-train summary runs --by auc")
def summary(
    runs: Annotated[Path, typer.Argument(metavar="RUNS_DIR", help="A folder of runs.")],
    by: Annotated[str, typer.Option(help="The figure that orders them.", metavar="FIGURE")] = "accuracy",
) -> None:
    """Put all runs below a folder into one table, one CSV and one picture, and name the best."""
    from vedette_train.card import FIGURES
    from vedette_train.summary import best_line, collect, spreads, write_summary

    if by not in FIGURES:
        raise UsageError(f"--by {by}: expected one of {', '.join(FIGURES)}")
    rows = collect(runs)
    write_summary(runs, rows, by)
    table = Table(title=f"{len(rows)} runs below {runs}", title_justify="left")
    for column in ("run", "recipe", "seed", "videos", FIGURES[by], "95 % interval"):
        table.add_column(column)
    order = [row for row in rows if by in row.figures]
    for row in sorted(order, key=lambda row: row.figures[by].value, reverse=True):
        figure = row.figures[by]
        interval = f"{figure.low:.3f} to {figure.high:.3f}"
        table.add_row(
            row.name, row.recipe, str(row.seed), str(len(row.videos)), f"{figure.value:.3f}", interval
        )
    console.print(table)
    for spread in spreads(rows, by):
        if spread.deviation is not None:
            log(
                f"{spread.recipe}: {spread.mean:.3f} ± {spread.deviation:.3f} over {spread.runs} runs that "
                "differ in their seed alone"
            )
    console.print(best_line(rows, by), markup=False)
    log(f"wrote summary.csv, summary.png and best_overall.txt into {runs}")


@app.command(epilog="Example:  vedette-train ablate dual-stream --data ~/violence --out runs/ablation")
def ablate(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Default runs/<recipe>-ablation; started again, it goes on.")
    ] = None,
    set_: SetOption = None,
) -> None:
    """Tell whether the flow branch earns its cost: picture and flow, and either alone, cross-validated."""
    loaded, root = load(recipe, data, set_)
    from vedette_train.ablate import ablate as run_ablation
    from vedette_train.ablate import verdict
    from vedette_train.costs import machine

    directory = out or Path("runs") / f"{loaded.name}-ablation"
    found = run_ablation(loaded, root, directory)
    table = Table(title=f"{directory}  ({machine()})", title_justify="left")
    for column in (
        "streams",
        "how",
        "accuracy",
        "AUC",
        "p",
        "parameters",
        "GMACs",
        "network",
        "flow, ms a clip",
    ):
        table.add_column(column)
    for name, one in found.items():
        table.add_row(
            name,
            one.how,
            escape(str(one.accuracy)),
            escape(str(one.auc)) if one.auc else "-",
            f"{one.against_whole.mcnemar.p:.2g}" if one.against_whole else "",
            f"{one.cost.parameters:,}",
            f"{one.cost.gmacs:.2f}",
            f"{one.cost.network_ms:.1f}",
            f"{one.cost.flow_ms:.1f}",
        )
    console.print(table)
    console.print(verdict(found), markup=False)
