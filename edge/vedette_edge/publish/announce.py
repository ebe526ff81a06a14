"""What a node says of itself: state, birth, camera status. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vedette_edge import __version__
from vedette_edge.ota.payloads import ModelReport, OtaReport
from vedette_edge.publish.base import Message
from vedette_edge.topics import (
    Birth,
    BirthCamera,
    BirthModel,
    CameraStatus,
    ConfigReport,
    GovernorState,
    Metrics,
    NodeState,
    Topics,
)

__all__ = ["Announcer", "Description"]

State = Literal["init", "ready", "degraded", "sleeping", "disconnected", "lost"]
Status = Literal["online", "stalled", "offline", "disabled"]

_SCHEMAS = {
    "state": 1,
    "birth": 2,
    "status": 1,
    "event": 1,
    "metrics": 1,
    "gap": 1,
    "drift": 1,
    "command": 1,
    "ota": 1,
}


@dataclass(frozen=True, slots=True)
class Description:
    """What the node runs now: its models, and its cameras without their addresses."""

    models: tuple[BirthModel, ...]
    cameras: tuple[BirthCamera, ...]


class Announcer:
    """Writes a node's retained messages."""

    def __init__(
        self, topics: Topics, boot: str, describe: Callable[[], Description], now: Callable[[], float]
    ) -> None:
        """Write for one run of the agent.

        Args:
            topics: of the node.
            boot: names this run of the agent.
            describe: what the node runs now; asked at each birth.
            now: Unix time, seconds.
        """
        self.topics = topics
        self._boot = boot
        self._describe = describe
        self._now = now
        self._described: Description | None = None
        self._version = 0

    def state(self, state: State, session: int, reason: str = "") -> Message:
        """Return the node's state; with `lost`, the will of connection number `session`."""
        payload = NodeState(state=state, session=session, boot=self._boot, reason=reason, ts=self._now())
        return Message(self.topics.state, payload.model_dump_json().encode(), retain=True)

    def birth(self, session: int) -> Message:
        """Return what the node is, for connection number `session`."""
        description = self._describe()
        if description != self._described:
            self._described, self._version = description, self._version + 1
        payload = Birth(
            version=self._version,
            session=session,
            boot=self._boot,
            ts=self._now(),
            agent=__version__,
            models=description.models,
            cameras=description.cameras,
            schemas=_SCHEMAS,
        )
        return Message(self.topics.birth, payload.model_dump_json().encode(), retain=True)

    def status(self, camera: str, status: Status, reason: str = "") -> Message:
        """Return whether a camera gives frames."""
        payload = CameraStatus(status=status, reason=reason, ts=self._now())
        return Message(self.topics.status(camera), payload.model_dump_json().encode(), retain=True)

    def metrics(self, metrics: Metrics) -> Message:
        """Return how the node is doing; it may be lost."""
        return Message(self.topics.metrics, metrics.model_dump_json().encode(), qos=0)

    def governor(self, state: GovernorState) -> Message:
        """Return what the node does to spare its device."""
        return Message(self.topics.governor, state.model_dump_json().encode(), retain=True)

    def updates(self, models: tuple[ModelReport, ...], hints_ignored: int) -> Message:
        """Return where the updates of models stand."""
        payload = OtaReport(ts=self._now(), boot=self._boot, models=models, hints_ignored=hints_ignored)
        return Message(self.topics.ota_report, payload.model_dump_json().encode(), retain=True)

    def config_report(self, report: ConfigReport) -> Message:
        """Return what became of the latest configuration."""
        return Message(self.topics.config_report, report.model_dump_json().encode(), retain=True)
