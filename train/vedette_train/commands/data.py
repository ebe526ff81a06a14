"""`vedette-train data`: make and inspect datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_train.console import log, progress

__all__ = ["app"]

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
