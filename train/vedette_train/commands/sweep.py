"""`vedette-train sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_train.commands.options import DataOption, RecipeArgument, SetOption, load

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train sweep demo --data out/data --space space.yaml --trials 20")
def sweep(
    recipe: RecipeArgument,
    space: Annotated[Path, typer.Option(help="YAML: what varies, and in which ranges.")],
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Gets a run a trial; default runs/<recipe>-sweep.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many the study shall have in the end.")] = 20,
    storage: Annotated[
        str | None, typer.Option(help="Shared by machines: journal:FILE, or a database URL.", metavar="URL")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name in the storage; default the recipe's.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1.0, help="Seconds after which no new trial begins.")
    ] = None,
    set_: SetOption = None,
) -> None:
    """Search for the settings that do best on the validation part.

    Run it again to go on, or on more machines with the same --storage and --study to share the work.
    """
    loaded, root = load(recipe, data, set_)
    from vedette_train.search_space import load_space
    from vedette_train.sweep import sweep as run_sweep

    run_sweep(
        loaded,
        root,
        load_space(space, loaded),
        out or Path("runs") / f"{loaded.name}-sweep",
        trials=trials,
        storage=storage,
        name=study,
        timeout=timeout,
    )
