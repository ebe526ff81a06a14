"""What a node says of itself: state, birth, camera status. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vedette_edge import __version__
from vedette_edge.publish.base import Message
from vedette_edge.topics import (
    Birth,
    BirthCamera,
    CameraStatus,
    ConfigReport,
    GovernorState,
    Metrics,
    NodeState,
    Topics,
)

__all__ = ["Announcer"]

State = Literal["init", "ready", "degraded", "sleeping", "disconnected", "lost"]
Status = Literal["online", "stalled", "offline", "disabled"]

_SCHEMAS = {"state": 1, "birth": 1, "status": 1, "event": 1, "metrics": 1}


@dataclass(frozen=True, slots=True)
class Announcer:
    """Writes a node's retained messages.

    Attributes:
        topics: of the node.
        boot: names this run of the agent.
        model: name of the model.
        model_sha256: digest of the bundle's manifest.
        variant: which form of the model runs.
        labels: names of its classes.
        cameras: (identifier, kind of source) of each camera.
        now: Unix time, seconds.
    """

    topics: Topics
    boot: str
    model: str
    model_sha256: str
    variant: str
    labels: tuple[str, ...]
    cameras: tuple[tuple[str, str], ...]
    now: Callable[[], float]

    def state(self, state: State, session: int) -> Message:
        """Return the node's state; with `lost`, the will of connection number `session`."""
        payload = NodeState(state=state, session=session, boot=self.boot, ts=self.now())
        return Message(self.topics.state, payload.model_dump_json().encode(), retain=True)

    def birth(self, session: int) -> Message:
        """Return what the node is, for connection number `session`."""
        payload = Birth(
            session=session,
            boot=self.boot,
            ts=self.now(),
            agent=__version__,
            model=self.model,
            model_sha256=self.model_sha256,
            variant=self.variant,
            labels=self.labels,
            cameras=tuple(BirthCamera(id=name, source=kind) for name, kind in self.cameras),
            schemas=_SCHEMAS,
        )
        return Message(self.topics.birth, payload.model_dump_json().encode(), retain=True)

    def status(self, camera: str, status: Status, reason: str = "") -> Message:
        """Return whether a camera gives frames."""
        payload = CameraStatus(status=status, reason=reason, ts=self.now())
        return Message(self.topics.status(camera), payload.model_dump_json().encode(), retain=True)

    def metrics(self, metrics: Metrics) -> Message:
        """Return how the node is doing; it may be lost."""
        return Message(self.topics.metrics, metrics.model_dump_json().encode(), qos=0)

    def governor(self, state: GovernorState) -> Message:
        """Return what the node does to spare its device."""
        return Message(self.topics.governor, state.model_dump_json().encode(), retain=True)

    def config_report(self, report: ConfigReport) -> Message:
        """Return what became of the latest configuration."""
        return Message(self.topics.config_report, report.model_dump_json().encode(), retain=True)
