"""The status of an agent that does not run."""

from __future__ import annotations

from vedette_edge.operation.status import BrokerState, CameraState, LastEvent, ModelState, Status
from vedette_edge.topics import CameraMetrics, GovernorState, Metrics, ModelMetrics, Percentiles

NOW = 1_700_000_000.0


def percentiles(count=4, p50=10.0, p95=20.0, maximum=30.0):
    return Percentiles(count=count, p50=p50, p95=p95, max=maximum)


def make_metrics(**changes):
    some = percentiles()
    values = {
        "ts": NOW,
        "boot": "boot",
        "uptime": 93_784.0,
        "frames": 100,
        "dropped": 3,
        "windows": 7,
        "events": 2,
        "outbox": 5,
        "cameras": (
            CameraMetrics(id="door", fps=24.96, frames=100, dropped=3, queued=1, restarts=2),
            CameraMetrics(id="gate", fps=0.0, frames=0, dropped=0, queued=0, restarts=0),
        ),
        "models": (ModelMetrics(name="main", variant="onnx-fp32", inference_ms=some, failovers=1),),
        "queue_ms": some,
        "gate_ms": some,
        "inference_ms": some,
        "decide_ms": some,
        "publish_ms": some,
        "temperature_c": 61.5,
        "rss_bytes": 100 * 2**20,
        "rss_total_bytes": 150 * 2**20,
        "governor": 2,
    }
    return Metrics(**(values | changes))


def make_status(reason="", **changes):
    values = {
        "agent": "0.1.0",
        "pid": 42,
        "site": "hall",
        "node": "node-1",
        "broker": BrokerState(address="broker:8883", connected=True),
        "models": (
            ModelState(name="main", bundle="fights", sha256="0" * 64, variant="onnx-fp32", runtime="onnx"),
        ),
        "cameras": (
            CameraState(
                id="door",
                status="online",
                reason="",
                last_event=LastEvent(type="new", label="fight", score=0.9, ts=NOW - 90),
            ),
            CameraState(id="gate", status="offline", reason=reason or "no answer", last_event=None),
        ),
        "governor": GovernorState(
            ts=NOW, step=2, name="longer-hop", reason="80.0 degrees Celsius", paused=()
        ),
        "metrics": make_metrics(),
    }
    return Status(**(values | changes))
