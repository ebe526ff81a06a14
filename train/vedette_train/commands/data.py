"""`vedette-train data`: make and inspect datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from vedette_train.commands.options import SetOption, load
from vedette_train.console import console, log, progress

if TYPE_CHECKING:
    from vedette_train.data.folder import VideoFolder
    from vedette_train.data.inspection import Inspection

__all__ = ["app"]

DataArgument = Annotated[Path, typer.Argument(help="Folder of classes.", metavar="DATA")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes; default one a core.")]

app = typer.Typer(help="Make and inspect datasets.", no_args_is_help=True)


@app.command(epilog="Example:  vedette-train data synth --out out/data --clips 30")
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


@app.command(epilog="Example:  vedette-train data adopt rwf-2000 --out data/rwf")
def adopt(
    source: Annotated[Path, typer.Argument(help="A dataset as it was published.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    frames: Annotated[bool, typer.Option("--frames", help="Of videos/ and frames/, take frames/.")] = False,
) -> None:
    """Make a folder of classes of another layout, by links, with its split.csv.

    Known are {train,val,test}/<class>/<video>, the same below videos/ or frames/ with metadata/<part>.csv,
    and <class>/<video> with a table of ids and splits. Train on it with --set data.split_file=split.csv.
    """
    from collections import Counter

    from vedette_train.data.adopt import adopt as run_adopt

    videos = run_adopt(source, out, frames=frames)
    parts = ", ".join(f"{count} {part}" for part, count in Counter(v.part for v in videos).items())
    groups = "with groups.csv" if (out / "groups.csv").exists() else "their names tell no groups"
    log(f"linked {len(videos)} videos into {out}: {parts}; {groups}")


@app.command(epilog="Example:  vedette-train data cut recordings --out data/exercises --workers 8")
def cut(
    source: Annotated[Path, typer.Argument(help="Holds split.csv (id,split) and labels/<id>.csv.")],
    out: Annotated[Path, typer.Option(help="Folder of classes to write.")],
    videos: Annotated[
        Path | None, typer.Option(help="Where <id>.mp4 lie; default SOURCE/dataset/anon or SOURCE/videos.")
    ] = None,
    least: Annotated[int, typer.Option(min=2, help="Shortest clip, frames.")] = 16,
    workers: WorkersOption = None,
) -> None:
    """Cut recordings with a label for every frame into clips of one label, with split.csv and groups.csv.

    A row of labels/<id>.csv is frame (from 1), anything, label; there is no header.
    """
    from vedette_train.data.cut import cut as run_cut

    with progress("cut recordings") as on_progress:
        clips, unreadable = run_cut(
            source, out, videos=videos, least=least, workers=workers, on_progress=on_progress
        )
    for reason in unreadable.values():
        log(f"left out: {reason}", style="yellow")
    log(f"wrote {len(clips)} clips of {len({name.split('/')[0] for name in clips})} labels into {out}")


@app.command(epilog="Example:  vedette-train data check data/rwf --split-file split.csv")
def check(
    data: DataArgument,
    split_file: Annotated[
        Path | None, typer.Option(help="CSV with columns path,part; default DATA/split.csv where it is.")
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Decode every video; count, and look for sources that lie in several parts.

    Ends with 1 when a group, or nearly the same video, lies in several parts of the split.
    """
    from vedette_train.data.folder import scan
    from vedette_train.data.inspection import inspect, refuse_leaks

    folder = scan(data)
    wanted = split_file or Path("split.csv")
    path = wanted if split_file and wanted.is_file() else data / wanted
    used = path if split_file or path.is_file() else None
    with progress(f"look at {len(folder.videos)} videos") as on_progress:
        found = inspect(folder, used, workers=workers, on_progress=on_progress)
    _print_inspection(folder, found)
    if used is None:
        log("no split file: fit deals the groups, so that none lies in two parts")
    refuse_leaks(found.leaks)


@app.command(epilog="Example:  vedette-train data stats data/rwf --recipe violence")
def stats(
    data: DataArgument,
    recipe: Annotated[str, typer.Option(help="Its data.input says how pictures and flow are made.")],
    set_: SetOption = None,
    workers: WorkersOption = None,
) -> None:
    """Print the mean and standard deviation of each channel, for data.input.mean and std."""
    from vedette_train.data.clips import larger
    from vedette_train.data.folder import scan
    from vedette_train.data.frames import cache_directory, load_flow, load_frames, prepare_frames
    from vedette_train.data.statistics import input_statistics

    loaded, _ = load(recipe, data, set_)
    spec, cache = larger(loaded.data.input), cache_directory()
    folder = scan(data, loaded.data.exclude)
    with progress(f"decode {len(folder.videos)} videos") as on_progress:
        videos, _ = prepare_frames(
            folder.videos,
            spec,
            cache,
            max_unreadable=loaded.data.max_unreadable,
            workers=workers,
            on_progress=on_progress,
        )
    kept = ((load_frames(v, spec, cache), load_flow(v, spec, cache) if spec.flow else None) for v in videos)
    found = input_statistics(kept, loaded.data.input)
    names = {"picture": [*loaded.data.input.color], "flow": ["flow x", "flow y"]}
    table = Table(title=f"{data}: {len(videos)} videos", title_justify="left")
    for column in ("channel", "mean", "std"):
        table.add_column(column)
    for kind, numbers in found.items():
        for name, mean, std in zip(names[kind], numbers.mean, numbers.std, strict=True):
            table.add_row(name, f"{mean:.4f}", f"{std:.4f}")
    console.print(table)


def _print_inspection(folder: VideoFolder, found: Inspection) -> None:
    table = Table(title=str(folder.root), title_justify="left")
    for column in (
        "class",
        "videos",
        "groups",
        *(("parts",) if found.parts else ()),
        "seconds",
        "fps",
        "size",
    ):
        table.add_column(column)
    for index, label in enumerate(folder.labels):
        pairs = [(v, look) for v, look in zip(found.videos, found.looks, strict=True) if v.label == index]
        groups = {video.group for video, _ in pairs if video.group}
        parts = [found.parts[video.name] for video, _ in pairs] if found.parts else []
        row = [label, str(len(pairs)), str(len(groups) or "-")]
        if found.parts:
            row.append(" ".join(f"{part} {parts.count(part)}" for part in dict.fromkeys(sorted(parts))))
        looks = [look for _, look in pairs]
        row.append(_range([look.seconds for look in looks if look.seconds is not None], ".1f"))
        row.append(_range([look.fps for look in looks if look.fps], ".4g"))
        sizes = sorted({(look.width, look.height) for look in looks})
        row.append(" to ".join(f"{w}x{h}" for w, h in dict.fromkeys([*sizes[:1], *sizes[-1:]])) or "-")
        table.add_row(*row)
    console.print(table)
    for name, reason in found.unreadable.items():
        log(f"unreadable: {name} ({reason})", style="yellow")
    for leak in found.leaks:
        log(f"{leak.kind} in {' and '.join(leak.parts)}: {', '.join(leak.videos)}", style="red")


def _range(values: list[float], form: str) -> str:
    ends = dict.fromkeys(format(value, form) for value in (min(values), max(values))) if values else {"-": 0}
    return " to ".join(ends)
