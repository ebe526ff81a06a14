"""`vedette-train prepare`: decode and compute flow ahead of the training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedette_train.commands.options import DataOption, RecipeArgument, SetOption, load
from vedette_train.console import log, progress

if TYPE_CHECKING:
    from vedette_train.recipe import Recipe

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train prepare actions --data ~/videos --workers 8")
def prepare(
    recipe: RecipeArgument,
    data: DataOption = None,
    set_: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one a core.")] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Ray cluster, such as auto or ray://HOST:10001."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to keep; default the user's cache, where fit looks.")
    ] = None,
    npy: Annotated[bool, typer.Option("--npy", help="Write arrays (T,H,W,5) into --out instead.")] = False,
    encoding: Annotated[
        Literal["repaired", "faithful"], typer.Option(help="With --npy: flow in pixels, or as published.")
    ] = "repaired",
) -> None:
    """Decode every video, with its flow where the recipe sees flow, so that training starts at once.

    Goes on where it was interrupted. With --npy, writes one array a video in the folders of the source,
    {train,val}/<class> or <class>.
    """
    loaded, root = load(recipe, data, set_)
    if npy:
        _write_arrays(loaded, root, out, encoding, workers)
    else:
        _keep_frames(loaded, root, out, workers, ray)


def _keep_frames(recipe: Recipe, root: Path, out: Path | None, workers: int | None, ray: str | None) -> None:
    from vedette_train.data.clips import larger
    from vedette_train.data.folder import scan
    from vedette_train.data.frames import cache_directory, kept_files, prepare_frames

    folder = scan(root, recipe.data.exclude)
    cache, spec = out or cache_directory(), larger(recipe.data.input)
    with progress(f"prepare {len(folder.videos)} videos") as on_progress:
        videos, unreadable = prepare_frames(
            folder.videos,
            spec,
            cache,
            max_unreadable=recipe.data.max_unreadable,
            workers=workers,
            ray=ray,
            on_progress=on_progress,
        )
    size = sum(path.stat().st_size for video in videos for path in kept_files(video, spec, cache))
    for item in unreadable:
        log(f"left out: {item.reason}", style="yellow")
    log(_summary(len(videos), size, len(unreadable), cache))


def _write_arrays(
    recipe: Recipe,
    root: Path,
    out: Path | None,
    encoding: Literal["repaired", "faithful"],
    workers: int | None,
) -> None:
    from vedette_edge.errors import ConfigError, UsageError
    from vedette_train.data.arrays import write_arrays

    if out is None:
        raise UsageError("--npy needs --out DIR, where the arrays are written")
    if recipe.data.input.flow is None:
        raise ConfigError(f"recipe '{recipe.name}' sees no flow; --npy needs data.input.streams: rgb+flow")
    with progress(f"write {encoding} arrays") as on_progress:
        written, unreadable = write_arrays(
            root, out, recipe.data.input, encoding, workers=workers, on_progress=on_progress
        )
    for reason in unreadable.values():
        log(f"left out: {reason}", style="yellow")
    log(_summary(len(written), sum(path.stat().st_size for path in written), len(unreadable), out))


def _summary(videos: int, size: int, unreadable: int, where: Path) -> str:
    return f"{videos} videos in {size / 1e6:.1f} MB, {unreadable} left out: {where}"
