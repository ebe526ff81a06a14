"""`vedette-convert optimise`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vedette_converters.commands.options import (
    AUTO,
    INSTALLED,
    ModesOption,
    PrecisionsOption,
    RuntimesOption,
    read_plan,
)
from vedette_edge.errors import UsageError
from vedette_train.console import console, log

if TYPE_CHECKING:
    from vedette_converters.optimise import Outcome

__all__ = ["app"]

app = typer.Typer()


@app.command(
    epilog="Example:  vedette-convert optimise runs/demo --out slim/demo --max-drop 0.01 --latency-ms 10 "
    "--size-mb 2"
)
def optimise(
    run: Annotated[Path, typer.Argument(help="A finished run of vedette-train.")],
    out: Annotated[Path, typer.Option(help="Gets all runs and bundles; new, or of this search.")],
    max_drop: Annotated[float, typer.Option(min=0.0, help="Accuracy that may be lost, as a share.")],
    latency_ms: Annotated[float, typer.Option(min=0.001, help="Milliseconds a call may take (p50).")],
    size_mb: Annotated[float, typer.Option(min=0.001, help="MB that its files may have.")],
    ratios: Annotated[str, typer.Option(help="Shares of the channels to remove.")] = "0,0.3,0.5,0.7",
    runtimes: RuntimesOption = INSTALLED,
    precisions: PrecisionsOption = "fp32,int8",
    modes: ModesOption = AUTO,
    epochs: Annotated[int, typer.Option(min=0, help="Of training after channels were removed.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Of one call; 0: the runtime chooses.")] = 0,
    data: Annotated[Path | None, typer.Option(help="The run's dataset, where it moved.")] = None,
) -> None:
    """Search for the fastest network that keeps a budget of accuracy, latency and size.

    Walks over pruning ratio, precision, runtime and mode, and shows the candidates that no other one beats in
    everything. Run it again to go on after an interruption, or to ask the same trials for another latency or
    size. Where no candidate keeps the budget, the nearest is told, and the exit code is 1.
    """
    from vedette_converters.optimise import choose, write_outcome
    from vedette_converters.optimise import optimise as run_search
    from vedette_converters.pareto import Budget
    from vedette_converters.trials import Search, weights_digest
    from vedette_train.settings import validate

    search = validate(
        {
            "run": str(run.resolve()),
            "weights": weights_digest(run),
            "ratios": sorted({0.0, *_numbers(ratios)}),
            **asdict(read_plan(runtimes, precisions, modes)),
            "epochs": epochs,
            "threads": threads,
            "max_drop": max_drop,
        },
        Search,
        "vedette-convert optimise",
    )
    # Only now, because it takes seconds, and bad use should be told at once.
    from vedette_converters.steps import real_steps

    trials = run_search(run, out, search, real_steps(run, search, data))
    outcome = choose(trials, Budget(max_drop, latency_ms, size_mb))
    write_outcome(out, outcome, trials)
    _print(out, outcome)
    if outcome.recommended is None:
        raise typer.Exit(1)


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--ratios {text}: expected shares such as 0,0.3,0.5 ({error})") from error


def _print(out: Path, outcome: Outcome) -> None:
    table = Table(
        title=escape(f"{out}: the Pareto front of {len(outcome.candidates)} candidates"), title_justify="left"
    )
    for column in ("removed", "variant", "accuracy", "lost", "p50 ms", "MB", ""):
        table.add_column(column, no_wrap=True)
    for one in outcome.front:
        misses = ", ".join(outcome.budget.overshoots(one, outcome.reference))
        table.add_row(
            f"{one.ratio:.0%}",
            one.variant,
            f"{one.accuracy:.3f}",
            f"{outcome.reference - one.accuracy:+.3f}",
            f"{one.latency_ms:.2f}",
            f"{one.size_mb:.2f}",
            "recommended" if one == outcome.recommended else f"misses {misses}" if misses else "keeps all",
        )
    console.print(table)
    nearest = f"{outcome.nearest.variant} with {outcome.nearest.ratio:.0%} of the channels removed"
    if outcome.recommended:
        log(f"recommended: {nearest}; alone in {out / 'best'}")
    else:
        log(
            f"no candidate keeps all bounds; the nearest, {nearest}, {' and '.join(outcome.missed)}", "yellow"
        )
