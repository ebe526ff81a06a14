"""Gathers what is to be told of the running agent: `metrics`, the status on the device, and its histograms.

It notes what the parts say as it happens (statuses, events, variants that take over), and looks at their
counters when it is asked. Safe from any thread.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vedette_edge import __version__
from vedette_edge.camera import Camera
from vedette_edge.capture import Status as CameraStatus
from vedette_edge.engine import Model
from vedette_edge.metrics import (
    Durations,
    Histogram,
    Rate,
    Stages,
    family_resident_bytes,
    resident_bytes,
    spread,
)
from vedette_edge.operation.governor import LADDER, Step
from vedette_edge.operation.sensors import Reading
from vedette_edge.operation.status import BrokerState, CameraState, LastEvent, ModelState, Status
from vedette_edge.ota.payloads import ModelReport
from vedette_edge.publish.base import Message
from vedette_edge.topics import CameraMetrics, GovernorState, Metrics, ModelMetrics, Topics, parse_event
from vedette_edge.watcher import Watcher

__all__ = ["Link", "Overview", "Parts"]

_log = logging.getLogger(__name__)


class Link(Protocol):
    """What the overview sees of the link to the broker."""

    latency: Durations

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the running agent; cameras and watchers may come and go.

    Attributes:
        site: where the device stands.
        node: the device.
        boot: names this run of the agent.
        broker: host and port.
        models: those that there are now, by name.
        cameras: those that there are now.
        watchers: those that there are now.
        waiting: how many messages wait for the broker.
        link: to the broker.
        updates: where the updates of models stand.
    """

    site: str
    node: str
    boot: str
    broker: str
    models: Callable[[], Mapping[str, Model]]
    cameras: Callable[[], Sequence[Camera]]
    watchers: Callable[[], Sequence[Watcher]]
    waiting: Callable[[], int]
    link: Link
    updates: Callable[[], tuple[ModelReport, ...]] = tuple


@dataclass(slots=True)
class _Noted:
    """What a camera said of itself."""

    status: CameraStatus | None = None
    reason: str = ""
    arrivals: int = 0
    last_event: LastEvent | None = None
    rate: Rate = field(default_factory=Rate)


class Overview:
    """The agent as it is now."""

    def __init__(
        self,
        parts: Parts,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at `parts`; `now` is Unix time and `clock` only rises, both in seconds."""
        self._parts = parts
        self._now = now
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._noted: dict[str, _Noted] = {}
        self._failovers: Counter[str] = Counter()
        self._reading = Reading()
        self._governor = self._governor_state(LADDER[0], "", ())
        self.stages = Stages()

    def note_status(self, camera: str, status: CameraStatus, reason: str = "") -> None:
        """Take note of a camera's status."""
        with self._lock:
            noted = self._noted.setdefault(camera, _Noted())
            noted.arrivals += status == "online"
            noted.status, noted.reason = status, reason

    def note_messages(self, camera: str, messages: Sequence[Message]) -> None:
        """Take note of the events among a camera's messages, and log their beginnings and ends."""
        topic = Topics(self._parts.site, self._parts.node).events(camera)
        for message in messages:
            if message.topic != topic:
                continue
            event = parse_event(message.payload)
            if event.type != "update":
                fields = {"camera": camera, "event": event.id, "label": event.label, "type": event.type}
                _log.info("camera '%s': %s, %s", camera, event.label, event.type, extra=fields)
            last = LastEvent(type=event.type, label=event.label, score=event.score, ts=self._now())
            with self._lock:
                self._noted.setdefault(camera, _Noted()).last_event = last

    def note_failover(self, model: str) -> None:
        """Take note that another variant of a model had to take over."""
        with self._lock:
            self._failovers[model] += 1

    def note_reading(self, reading: Reading) -> None:
        """Take note of what the sensors say."""
        self._reading = reading

    def note_step(self, step: Step, reason: str, paused: Sequence[str]) -> GovernorState:
        """Take note of the governor's step; return what to publish."""
        self._governor = self._governor_state(step, reason, paused)
        return self._governor

    def forget(self, camera: str) -> None:
        """Forget a camera that was taken out of service."""
        with self._lock:
            self._noted.pop(camera, None)

    def model_histograms(self) -> dict[str, Histogram]:
        """Return the inference time of each model."""
        return {name: model.session.durations.histogram() for name, model in self._parts.models().items()}

    def stage_histograms(self) -> dict[str, Histogram]:
        """Return the time of each stage but inference."""
        return {
            "queue": self.stages.queue.histogram(),
            "gate": self.stages.gate.histogram(),
            "decide": self.stages.decide.histogram(),
            "publish": self._parts.link.latency.histogram(),
        }

    def metrics(self) -> Metrics:
        """Return how the node is doing."""
        parts, stages = self._parts, self.stages
        with self._lock:
            cameras = tuple(self._camera_metrics(camera) for camera in parts.cameras())
        models = tuple(self._model_metrics(name, model) for name, model in parts.models().items())
        return Metrics(
            ts=self._now(),
            boot=parts.boot,
            uptime=round(self._clock() - self._began, 3),
            frames=sum(camera.frames for camera in cameras),
            dropped=sum(camera.dropped for camera in cameras),
            windows=sum(watcher.windows for watcher in parts.watchers()),
            events=sum(camera.events for camera in parts.cameras()),
            outbox=parts.waiting(),
            cameras=cameras,
            models=models,
            queue_ms=stages.queue.percentiles(),
            gate_ms=stages.gate.percentiles(),
            inference_ms=spread(model.session.durations for model in parts.models().values()),
            decide_ms=stages.decide.percentiles(),
            publish_ms=parts.link.latency.percentiles(),
            temperature_c=self._reading.temperature_c,
            rss_bytes=resident_bytes(),
            rss_total_bytes=family_resident_bytes(),
            governor=self._governor.step,
        )

    def status(self) -> Status:
        """Return everything that is told on the device itself."""
        parts = self._parts
        with self._lock:
            cameras = tuple(self._camera_state(camera.name) for camera in parts.cameras())
        return Status(
            agent=__version__,
            pid=os.getpid(),
            site=parts.site,
            node=parts.node,
            broker=BrokerState(address=parts.broker, connected=parts.link.connected),
            models=tuple(_model_state(name, model) for name, model in parts.models().items()),
            cameras=cameras,
            governor=self._governor,
            metrics=self.metrics(),
            updates=parts.updates(),
        )

    def _camera_metrics(self, camera: Camera) -> CameraMetrics:
        noted = self._noted.setdefault(camera.name, _Noted())
        return CameraMetrics(
            id=camera.name,
            fps=round(noted.rate.at(self._clock(), camera.frames), 2),
            frames=camera.frames,
            dropped=camera.dropped,
            queued=camera.queued,
            restarts=max(0, noted.arrivals - 1),
        )

    def _camera_state(self, name: str) -> CameraState:
        noted = self._noted.get(name, _Noted())
        status = noted.status or "starting"
        return CameraState(id=name, status=status, reason=noted.reason, last_event=noted.last_event)

    def _model_metrics(self, name: str, model: Model) -> ModelMetrics:
        return ModelMetrics(
            name=name,
            variant=model.variant.name,
            inference_ms=model.session.durations.percentiles(),
            failovers=self._failovers[name],
        )

    def _governor_state(self, step: Step, reason: str, paused: Sequence[str]) -> GovernorState:
        return GovernorState(
            ts=self._now(), step=step.number, name=step.name, reason=reason, paused=tuple(paused)
        )


def _model_state(name: str, model: Model) -> ModelState:
    return ModelState(
        name=name,
        bundle=model.manifest.name,
        sha256=model.bundle.digest,
        variant=model.variant.name,
        runtime=model.variant.runtime,
    )
