"""`vedette-train explain`, `predict`, `stability` and `data preview`: see what a network sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from vedette_edge.errors import UsageError
from vedette_train.commands import data as data_commands
from vedette_train.commands.options import DataOption, RecipeArgument, RunArgument, SetOption, load
from vedette_train.console import console, log

__all__ = ["app"]

app = typer.Typer()

VideosArgument = Annotated[
    list[Path], typer.Argument(metavar="VIDEO...", help="Video files, or folders of them.")
]


@app.command(epilog="Example:  vedette-train explain runs/demo out/data/squat --out out/explained --still")
def explain(
    run: RunArgument,
    videos: VideosArgument,
    out: Annotated[Path, typer.Option(help="Gets a video for each input.")],
    method: Annotated[str, typer.Option(help="heatmap, gradcam or hirescam.")] = "heatmap",
    layer: Annotated[
        str | None, typer.Option(help="For gradcam and hirescam; default: the last map of places.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Explain this class; default: the predicted one of each window.")
    ] = None,
    still: Annotated[bool, typer.Option("--still", help="Also a PNG of several moments.")] = False,
) -> None:
    """Write videos with the evidence for a class laid over every frame."""
    from vedette_train.explain.cam import explainer
    from vedette_train.explain.film import film_of_view, sheet_of_view
    from vedette_train.explain.subjects import Subject, find_subjects, for_each, make_out, refuse_bad
    from vedette_train.explain.view import index_of, look, on_device
    from vedette_train.runs import open_run

    opened = open_run(run)
    subjects = find_subjects(videos, opened)
    network, labels, spec = on_device(opened), opened.info.labels, opened.recipe.data.input
    show = explainer(network, method, layer=layer, label=index_of(label, labels))
    make_out(out, subjects)

    def work(subject: Subject, on_progress: Callable[[int, int], None]) -> None:
        view = look(network, subject.path, spec, opened.decision, show, on_progress)
        film_of_view(subject, view, spec, labels, out / f"{subject.stem}.mp4", on_progress)
        if still:
            sheet_of_view(subject, view, spec, labels, out / f"{subject.stem}.png")

    bad = for_each(subjects, "explain", work)
    log(f"wrote {len(subjects) - len(bad)} videos to {out}")
    refuse_bad(bad, len(subjects))


@app.command(epilog="Example:  vedette-train predict runs/demo clips --out out/predictions --overlay")
def predict(
    run: RunArgument,
    videos: VideosArgument,
    out: Annotated[
        Path | None, typer.Option(help="Gets windows.csv, videos.csv and summary.json; default: only print.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also a video with the heatmap, in --out.")
    ] = False,
) -> None:
    """Judge videos, window by window and as a whole."""
    from vedette_train.explain.cam import explainer, no_maps
    from vedette_train.explain.film import film_of_view
    from vedette_train.explain.predictions import (
        VideoPrediction,
        predict_view,
        prediction_table,
        write_predictions,
    )
    from vedette_train.explain.subjects import Subject, find_subjects, for_each, make_out, refuse_bad
    from vedette_train.explain.view import look, on_device
    from vedette_train.runs import open_run

    if overlay and out is None:
        raise UsageError("--overlay writes videos: say where with --out DIR")
    opened = open_run(run)
    subjects = find_subjects(videos, opened)
    network, labels, spec = on_device(opened), opened.info.labels, opened.recipe.data.input
    show = explainer(network) if overlay else no_maps(network)
    if out:
        make_out(out, subjects)
    found: list[VideoPrediction] = []

    def work(subject: Subject, on_progress: Callable[[int, int], None]) -> None:
        view = look(network, subject.path, spec, opened.decision, show, on_progress)
        found.append(predict_view(subject, view, labels))
        if overlay and out:
            film_of_view(subject, view, spec, labels, out / f"{subject.stem}.mp4", on_progress)

    bad = for_each(subjects, "predict", work)
    if found:
        console.print(prediction_table(found))
    if trained := sum(one.subject.part == "train" for one in found):
        log(f"{trained} of these videos were trained on: what is right there says little", style="yellow")
    if out:
        write_predictions(out, labels, found)
        log(f"wrote {out}")
    refuse_bad(bad, len(subjects))


@app.command(epilog="Example:  vedette-train stability runs/demo --part val --out out/stability --overlay")
def stability(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="Gets a CSV and a plot for each video, and summary.json.")],
    videos: Annotated[
        list[Path] | None, typer.Argument(metavar="[VIDEO...]", help="Video files, or folders of them.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Or a part of the run's own dataset: train, val, test.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also a video with the jitter below.")] = False,
) -> None:
    """Measure how steady the labels are from one frame to the next."""
    from vedette_train.explain.stability import Steadiness, drawn_of, measure
    from vedette_train.explain.stability_report import (
        film_of_steadiness,
        steadiness_table,
        write_steadiness,
        write_summary,
    )
    from vedette_train.explain.subjects import (
        Subject,
        find_subjects,
        for_each,
        make_out,
        part_subjects,
        refuse_bad,
    )
    from vedette_train.explain.view import on_device
    from vedette_train.runs import open_run

    if bool(videos) == bool(part):
        raise UsageError("name either videos, or a part of the run's dataset with --part")
    opened = open_run(run)
    subjects = part_subjects(opened, part, data) if part else find_subjects(videos or [], opened)
    network, labels, spec = on_device(opened), opened.info.labels, opened.recipe.data.input
    make_out(out, subjects)
    found: list[Steadiness] = []

    def work(subject: Subject, on_progress: Callable[[int, int], None]) -> None:
        one = measure(network, subject, spec, opened.decision, on_progress)
        write_steadiness(one, labels, out)
        found.append(one)
        if overlay:
            film_of_steadiness(one, labels, out / f"{subject.stem}.mp4", on_progress)

    bad = for_each(subjects, "stability", work)
    if found:
        console.print(steadiness_table(write_summary(found, labels, out), drawn_of(found)))
        log(f"wrote {out}")
    refuse_bad(bad, len(subjects))


@data_commands.app.command(
    epilog="Example:  vedette-train data preview demo --data out/data --out debug_output"
)
def preview(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[Path, typer.Option(help="Gets the videos and a sheet of all.")] = Path("debug_output"),
    count: Annotated[int, typer.Option(min=1, help="Clips.")] = 10,
    set_: SetOption = None,
) -> None:
    """Show training clips before and after their random changes, without training."""
    loaded, root = load(recipe, data, set_)
    from vedette_train.data.frames import cache_directory
    from vedette_train.data.parts import load_parts
    from vedette_train.explain.preview import write_debug_videos

    cache = cache_directory()
    written = write_debug_videos(loaded, load_parts(loaded, root, cache).train, cache, out, count)
    log(f"wrote {written} pairs of videos to {out}")
