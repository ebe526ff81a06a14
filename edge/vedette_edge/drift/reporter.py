"""Tells the control room of drift: a retained report for each camera and model, a window at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from vedette_edge.drift.monitor import Drift, DriftMonitor
from vedette_edge.judges import Verdict
from vedette_edge.publish.base import Message
from vedette_edge.topics import DriftReport, Topics

__all__ = ["DriftReporter"]


class DriftReporter:
    """Takes the verdicts of one watcher; see `Watcher`, `on_verdict`."""

    def __init__(
        self,
        monitor: DriftMonitor,
        *,
        topics: Topics,
        camera: str,
        model: str,
        model_sha256: str,
        boot: str,
        publish: Callable[[Message], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Report what a monitor finds.

        Args:
            monitor: of this camera and model.
            topics: of the node.
            camera: its identifier.
            model: name of the model in the configuration.
            model_sha256: digest of the bundle's manifest.
            boot: names this run of the agent.
            publish: sends a retained message.
            now: Unix time, seconds.
        """
        self._monitor = monitor
        self._topics = topics
        self._camera = camera
        self._model = model
        self._sha256 = model_sha256
        self._boot = boot
        self._publish = publish
        self._now = now

    def __call__(self, verdict: Verdict) -> None:
        """Take a verdict; report when its window is full."""
        drift = self._monitor.push(verdict)
        if drift is not None:
            topic = self._topics.drift(self._camera, self._model)
            self._publish(Message(topic, self._report(drift).model_dump_json().encode(), retain=True))

    def _report(self, drift: Drift) -> DriftReport:
        return DriftReport(
            ts=self._now(),
            boot=self._boot,
            camera=self._camera,
            model=self._model,
            model_sha256=self._sha256,
            windows=drift.windows,
            drifted=drift.drifted,
            scores=dict(drift.scores),
            pictures=dict(drift.pictures),
            unsure=drift.unsure,
        )
