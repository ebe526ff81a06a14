"""The status as a table for a terminal. Pure: a status in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vedette_edge.operation.status import CameraState, Status
from vedette_edge.ota.reporting import sentence
from vedette_edge.topics import CameraMetrics, ModelMetrics

__all__ = ["duration", "lines_of", "table"]

_GOOD, _BAD, _POOR, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
_COLOURS = {"online": _GOOD, "stalled": _BAD, "offline": _BAD, "starting": _POOR, "disabled": _PLAIN}
_CAMERAS = ("CAMERA", "STATUS", "FPS", "FRAMES", "DROPPED", "QUEUED", "BACK", "LAST EVENT", "REASON")
_MODELS = ("MODEL", "VARIANT", "RUNTIME", "CALLS", "P50 MS", "P95 MS", "FAILOVERS")
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def lines_of(status: Status, now: float, *, width: int, colour: bool) -> list[str]:
    """Return the status, a line each.

    Args:
        status: of the agent.
        now: Unix time, seconds.
        width: of the terminal, columns; longer lines are cut.
        colour: paint the cameras' statuses, in ANSI's way.
    """
    figures = {camera.id: camera for camera in status.metrics.cameras}
    spent = {model.name: model for model in status.metrics.models}
    runtimes = {model.name: model.runtime for model in status.models}
    rows = [_camera_row(state, figures.get(state.id), now) for state in status.cameras]
    models = [_model_row(model, runtimes.get(name, "")) for name, model in spent.items()]
    cameras = table(_CAMERAS, rows, width)
    if colour:
        cameras[1:] = [_painted(*pair) for pair in zip(cameras[1:], status.cameras, strict=True)]
    head = [_plain(line)[:width] for line in _head(status)]
    updates = [_plain(f"update    {sentence(one)}")[:width] for one in status.updates]
    return [*head, *updates, "", *cameras, "", *table(_MODELS, models, width)]


def _head(status: Status) -> Iterator[str]:
    metrics, governor = status.metrics, status.governor
    yield (
        f"{status.site}/{status.node}  agent {status.agent}  process {status.pid}"
        f"  up {duration(metrics.uptime)}"
    )
    link = "connected" if status.broker.connected else "not connected"
    publish = f", capture to broker p95 {metrics.publish_ms.p95:.0f} ms" if metrics.publish_ms.count else ""
    yield f"broker    {status.broker.address} {link}, {metrics.outbox} messages waiting{publish}"
    heat = "" if metrics.temperature_c is None else f", {metrics.temperature_c:.0f} degrees Celsius"
    yield f"memory    {metrics.rss_total_bytes / 2**20:.0f} MiB with children{heat}"
    why = f" ({governor.reason})" if governor.reason else ""
    paused = f", paused: {', '.join(governor.paused)}" if governor.paused else ""
    yield f"governor  step {governor.step}, {governor.name}{why}{paused}"


def _camera_row(state: CameraState, figures: CameraMetrics | None, now: float) -> tuple[str, ...]:
    event = state.last_event
    last = f"{event.label} {event.type}, {duration(now - event.ts)} ago" if event else "-"
    if figures is None:  # it came or went between two looks
        return (state.id, state.status, *"-----", last, state.reason)
    counts = (figures.frames, figures.dropped, figures.queued, figures.restarts)
    return (state.id, state.status, f"{figures.fps:.1f}", *map(str, counts), last, state.reason)


def _model_row(model: ModelMetrics, runtime: str) -> tuple[str, ...]:
    spent = model.inference_ms
    times = (f"{spent.p50:.1f}", f"{spent.p95:.1f}")
    return (model.name, model.variant, runtime, str(spent.count), *times, str(model.failovers))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return a head and rows as lines of at most `width` columns, without what a terminal would obey."""
    cells = [head, *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)) for row in cells)
    return [line.rstrip()[:width] for line in lines]


def _painted(line: str, state: CameraState) -> str:
    name, rest = line[: len(state.id)], line[len(state.id) :]
    return name + rest.replace(state.status, f"{_COLOURS[state.status]}{state.status}{_PLAIN}", 1)


def _plain(text: str) -> str:
    """Return a text without what a terminal would obey: a reason may quote a camera's answer."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def duration(seconds: float) -> str:
    """Return a duration, seconds, in its two largest units.

    >>> duration(93784)
    '1 d 2 h'
    """
    parts: list[str] = []
    left = max(0, round(seconds))
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
