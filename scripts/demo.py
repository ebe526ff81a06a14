"""`make demo`: from nothing to an alert with a heatmap, each command as a user would type it.

Draws a dataset, trains on it, converts the run to a bundle, lets the agent watch a longer video that
the model has never seen, and holds what the control room received against what really happened.
Writes everything below `out/demo`, with `summary.json` at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from vedette_edge.scoring import Span, score_alarms
from vedette_edge.topics import Event
from vedette_edge.types import Box
from vedette_train.data.synthetic import Timeline, read_timeline

BIN = Path(sys.executable).parent
SEED_DATA, SEED_VIDEO = 3, 24
SECONDS = 90
# Heatmaps are as coarse as the network's last grid; a peak beside the outline still points at the figure.
MARGIN = 0.05

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Alert:
    """One action as the control room saw it: its first and last message, and whether a picture came."""

    first: Event
    last: Event
    picture: str | None

    @property
    def span(self) -> Span:
        """When it happened, in seconds of the video."""
        end = self.last.end_position
        return Span(self.first.label, self.first.start_position, end or self.last.position)


def main() -> int:
    """Run the demo; return 0 when precision and recall reach 0.9 and every alert has its picture."""
    out = _parse_arguments()
    started = time.monotonic()
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    _train_and_convert(out)
    video = out / "video" / f"timeline-{SEED_VIDEO}.mp4"
    lines = _watch(out, video)
    alerts = _alerts(lines)
    timeline = read_timeline(video.with_suffix(".timeline.json"))
    summary = _summary(alerts, timeline, lines)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _print_table(alerts, timeline)
    _print_end(out, summary, time.monotonic() - started)
    good = min(summary["precision"], summary["recall"]) >= 0.9
    return 0 if good and summary["snapshots"] == summary["events"] else 1


def _parse_arguments() -> Path:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    out: Path = parser.parse_args().out
    return out


def _train_and_convert(out: Path) -> None:
    _title("1. Draw a dataset: people doing five exercises, or idling")
    _run("vedette-train", "data", "synth", "--out", out / "data", "--clips", 120, "--seconds", 2,
         "--fps", 10, "--seed", SEED_DATA)  # fmt: skip
    _title("2. Train MobileNetV2-3D on it, from scratch, on what this machine has")
    _run("vedette-train", "fit", "demo", "--data", out / "data", "--out", out / "run")
    _title("3. Convert the run to a bundle, with proof that nothing was lost")
    _run(
        "vedette-convert", out / "run", "--out", out / "bundle", "--runtimes", "onnx", "--precisions", "fp32"
    )
    _title("4. Draw a longer video of a person and a scene that the model has never seen")
    _run("vedette-train", "data", "synth", "--out", out / "video", "--timeline", SECONDS,
         "--seed", SEED_VIDEO)  # fmt: skip


def _watch(out: Path, video: Path) -> list[dict[str, object]]:
    """Run agent and control room side by side; return what the control room received."""
    _title("5. Watch it with the agent; a second client plays the control room")
    config = out / "agent.yaml"
    broker = f"127.0.0.1:{_free_port()}"
    _write_config(config, video, out)
    _run("edge-agent", "check-config", config)
    watch = ["edge-agent", "watch", "--broker", broker, "--json", "--save", out / "pictures",
             "--until-disconnect", "--wait", 60, "--timeout", 180]  # fmt: skip
    console.print(f"[bold cyan]$[/] {_shown(watch)} > {out / 'alerts.jsonl'} &")
    with (out / "alerts.jsonl").open("w") as file, subprocess.Popen(_command(watch), stdout=file) as control:
        try:
            _run("edge-agent", "run", "--config", config, "--embedded-broker", broker)
            control.wait(timeout=30)
        finally:
            control.kill()
    return [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]


def _write_config(path: Path, video: Path, out: Path) -> None:
    settings = {
        "site": "demo",
        "node": "workstation",
        "bundle": str((out / "bundle").resolve()),
        "state_dir": str((out / "state").resolve()),
        "cameras": [{"id": "gym", "source": {"type": "file", "path": str(video.resolve()), "pace": "fast"}}],
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _alerts(lines: Sequence[dict[str, object]]) -> list[Alert]:
    """Put the messages of each event together, in the order of their beginning."""
    paths = {line["sha256"]: line["path"] for line in lines if "sha256" in line}
    messages: dict[str, list[Event]] = {}
    for line in lines:
        if str(line.get("topic", "")).endswith("/events"):
            event = Event.model_validate(line["payload"])
            messages.setdefault(event.id, []).append(event)
    alerts = []
    for events in messages.values():
        first = min(events, key=lambda event: event.seq)
        last = max(events, key=lambda event: event.seq)
        path = paths.get(first.picture.sha256) if first.picture else None
        alerts.append(Alert(first, last, str(path) if path else None))
    return sorted(alerts, key=lambda alert: alert.first.start_position)


def _points_at_figure(alert: Alert, timeline: Timeline) -> bool:
    """Tell whether the heatmap's peak lies on the figure, in the frame of the picture."""
    frame = min(round(alert.first.position * timeline.fps), timeline.frames - 1)
    return Box(*timeline.figure[frame]).grown(MARGIN).contains(*alert.first.hottest)


def _summary(
    alerts: Sequence[Alert], timeline: Timeline, lines: Sequence[dict[str, object]]
) -> dict[str, float]:
    score = score_alarms([alert.span for alert in alerts], _truth(timeline))
    metrics = [line["payload"] for line in lines if str(line.get("topic", "")).endswith("/metrics")]
    publish = metrics[-1]["publish_ms"] if metrics else None  # type: ignore[index]
    return {
        "events": len(alerts),
        "precision": round(score.precision, 3),
        "recall": round(score.recall, 3),
        "snapshots": sum(alert.picture is not None for alert in alerts),
        "pointing": sum(_points_at_figure(alert, timeline) for alert in alerts),
        "mqtt_messages": len(lines),
        "publish_p95_ms": round(publish["p95"], 1) if publish else -1.0,
    }


def _truth(timeline: Timeline) -> list[Span]:
    return [Span(action.label, action.start, action.end) for action in timeline.actions]


def _print_table(alerts: Sequence[Alert], timeline: Timeline) -> None:
    truth = _truth(timeline)
    score = score_alarms([alert.span for alert in alerts], truth)
    table = Table(title="What happened, and what the control room was told", title_justify="left")
    for column in ("action", "from", "to", "alert", "from", "to", "score", "after", "heatmap on the figure"):
        table.add_column(column)
    for action, match in zip(truth, score.matches, strict=True):
        left = [action.label, f"{action.start:.1f}", f"{action.end:.1f}"]
        right = _row(alerts[match], timeline, action) if match is not None else ["[red]missed[/]"]
        table.add_row(*left, *right)
    for number in score.false_alarms:
        table.add_row("[red]nothing[/]", "", "", *_row(alerts[number], timeline, None))
    console.print(table)


def _row(alert: Alert, timeline: Timeline, action: Span | None) -> list[str]:
    span = alert.span
    delay = f"{alert.first.position - action.start:.1f} s" if action else ""
    points = "yes" if _points_at_figure(alert, timeline) else "[red]no[/]"
    return [span.label, f"{span.start:.1f}", f"{span.end:.1f}", f"{alert.last.top_score:.2f}", delay, points]


def _print_end(out: Path, summary: dict[str, float], seconds: float) -> None:
    console.print(json.dumps(summary))
    console.print(
        f"\nDone in {seconds:.0f} s. Next:\n"
        f"  look at the alerts      {out / 'pictures'}\n"
        f"  at the training         {out / 'run' / 'curves.png'}, {out / 'run' / 'confusion.png'}\n"
        f"  at the proof            {out / 'bundle' / 'manifest.json'}\n"
        "  train on your own data  vedette-train fit actions --data YOUR_FOLDER\n"
        "  put it on a device      systemd/README.md"
    )


def _title(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _run(*words: object) -> None:
    console.print(f"[bold cyan]$[/] {_shown(words)}")
    subprocess.run(_command(words), check=True)


def _shown(words: Sequence[object]) -> str:
    return shlex.join(str(word) for word in words)


def _command(words: Sequence[object]) -> list[str]:
    return [str(BIN / str(words[0])), *(str(word) for word in words[1:])]


def _free_port() -> int:
    """Return 1883 where it is free, so that the printed commands are the usual ones, else any free port."""
    for port in (1883, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo: this command failed with exit code {error.returncode}: {shlex.join(error.cmd)}")
