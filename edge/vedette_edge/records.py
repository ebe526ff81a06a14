"""What a message of the contract says, as a line for people and as data for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from vedette_edge.ota.payloads import OtaReport, read_desired
from vedette_edge.ota.reporting import sentence
from vedette_edge.pictures import file_name
from vedette_edge.remote.commands import Result
from vedette_edge.topics import (
    Birth,
    CameraStatus,
    ConfigReport,
    Event,
    Gap,
    GovernorState,
    Metrics,
    NodeState,
)

__all__ = ["Record", "event_record", "kind_of", "noise_record", "picture_record", "plain_record"]

_Payload = TypeVar("_Payload", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    Attributes:
        kind: `event`, `picture`, `noise` for what does not follow the contract, else the topic's last level.
        line: for people.
        data: for programs; JSON values only.
    """

    kind: str
    line: str
    data: dict[str, Any]


def kind_of(topic: str) -> str:
    """Return the last level of a topic; of those that are about updates, also the one before."""
    levels = topic.split("/")
    return "/".join(levels[-2:]) if levels[-2:-1] == ["ota"] else levels[-1]


def plain_record(topic: str, payload: bytes) -> Record:
    """Return what a message says that is neither event nor picture.

    Raises:
        ValueError: when it does not follow the contract.
        DataError: when it is a hint that does not.
    """
    kind = kind_of(topic)
    if kind not in _READERS:
        raise ValueError("no topic of the contract")
    return Record(kind, _READERS[kind](topic, payload), _raw(topic, payload))


def event_record(topic: str, payload: bytes, event: Event, picture: bytes | None) -> Record:
    """Return what an event says; `payload` is its own, `picture` the one that it names, if that came."""
    when = event.end_time if event.end_time is not None else event.frame_time
    x, y = event.hottest
    what = f"{event.label} {event.score:.2f}  at x={x:.2f} y={y:.2f}"
    if event.type == "end":
        what += f"  after {when - event.start_time:.1f} s, top {event.top_score:.2f}"
    elif event.picture is not None:
        what += f"  {file_name(event, picture or b'')}"
    line = _line(when, event.type, topic, what + ("  (late)" if event.hist else ""))
    return Record("event", line, _raw(topic, payload))


def picture_record(topic: str, digest: str, size: int, path: Path | None) -> Record:
    """Return that a picture came, and where it was saved."""
    saved = str(path) if path is not None else None
    data = {"topic": topic, "sha256": digest, "bytes": size, "path": saved}
    return Record("picture", f"picture of {size} bytes" + (f": {saved}" if saved else ""), data)


def noise_record(topic: str, error: Exception) -> Record:
    """Return that a message was not understood."""
    return Record("noise", f"{topic}: not understood: {error}", {"topic": topic, "error": str(error)})


def _line(when: float, word: str, topic: str, what: str) -> str:
    clock = datetime.fromtimestamp(when).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    levels = topic.split("/")
    camera = f"/{levels[5]}" if levels[4] == "cam" else ""
    return f"{clock}  {word:6} {levels[2]}/{levels[3]}{camera}  {what}"


def _reader(
    model: type[_Payload], word: str, describe: Callable[[_Payload], str]
) -> Callable[[str, bytes], str]:
    def read(topic: str, payload: bytes) -> str:
        content: Any = model.model_validate_json(payload)
        return _line(content.ts, word, topic, describe(content))

    return read


def _response(topic: str, payload: bytes) -> str:
    result = Result.model_validate_json(payload)
    name = topic.split("/")[-2]
    outcome = "done" if result.ok else f"refused, {result.reason}: {result.error}"
    return f"{'':19}  answer {'/'.join(topic.split('/')[2:4])}  {name} {outcome}"


def _metrics(metrics: Metrics) -> str:
    return (
        f"{metrics.windows} windows, inference p95 {metrics.inference_ms.p95:.1f} ms"
        f", capture to broker p95 {metrics.publish_ms.p95:.1f} ms"
        f", {metrics.dropped} frames dropped, {metrics.outbox} messages waiting"
    )


def _birth(birth: Birth) -> str:
    models = ", ".join(f"{model.name} ({model.variant})" for model in birth.models)
    cameras = ", ".join(camera.id for camera in birth.cameras)
    return f"agent {birth.agent}, models {models}, cameras {cameras}"


def _gap(gap: Gap) -> str:
    counts = {
        "new": gap.new,
        "update": gap.update,
        "end": gap.end,
        "picture": gap.picture,
        "other": gap.other,
    }
    return "dropped " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _report(report: ConfigReport) -> str:
    what = ("would be taken" if report.dry_run else "taken") if report.ok else f"refused: {report.error}"
    return what + "".join(f"; {change}" for change in report.changes)


def _updates(report: OtaReport) -> str:
    return "; ".join(sentence(one) for one in report.models)


def _desired(topic: str, payload: bytes) -> str:
    hint = read_desired(payload)
    node = "/".join(topic.split("/")[2:4])
    return f"{'':19}  hint   {node}  look for updates: campaign {hint.campaign}, wave {hint.wave}"


def _explained(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text


_READERS: Mapping[str, Callable[[str, bytes], str]] = {
    "state": _reader(NodeState, "node", lambda state: _explained(state.state, state.reason)),
    "birth": _reader(Birth, "birth", _birth),
    "metrics": _reader(Metrics, "health", _metrics),
    "status": _reader(CameraStatus, "camera", lambda status: _explained(status.status, status.reason)),
    "gap": _reader(Gap, "gap", _gap),
    "governor": _reader(GovernorState, "spare", lambda state: _explained(state.name, state.reason)),
    "report": _reader(ConfigReport, "config", _report),
    "ota/report": _reader(OtaReport, "update", _updates),
    "ota/desired": _desired,
    "response": _response,
}


def _raw(topic: str, payload: bytes) -> dict[str, Any]:
    return {"topic": topic, "payload": json.loads(payload)}
