"""The MQTT contract: topic names and payloads. Pure; nothing here connects to anything.

    vedette/v1/{site}/{node}/state                 retained, also the last will
    vedette/v1/{site}/{node}/birth                 retained, what the node is
    vedette/v1/{site}/{node}/metrics               how it is doing
    vedette/v1/{site}/{node}/cam/{cam}/status      retained
    vedette/v1/{site}/{node}/cam/{cam}/events      new, update, end
    vedette/v1/{site}/{node}/cam/{cam}/heatmap     retained, JPEG bytes
    vedette/v1/{site}/{node}/cam/{cam}/drift/{model}   retained, how far it is from what the model knows

`site`, `node` and `cam` are of a-z, 0-9 and hyphens (Homie 5, topic IDs), so no wildcard or level can
be injected. Payloads are JSON but for the picture. Birth and will share QoS and retain flag, and carry
the same `session` number (Sparkplug's bdSeq), so a late will cannot outdo a newer birth.

An event names its picture by SHA-256 (`picture`), which is how a subscriber pairs the two whatever
the MQTT version; the picture is sent first. Delivery is at least once: drop an event whose
(`id`, `seq`) was seen before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import DataError
from vedette_edge.types import Box
from vedette_edge.validation import describe_errors

__all__ = [
    "ROOT",
    "Area",
    "Birth",
    "BirthCamera",
    "CameraStatus",
    "DriftReport",
    "Event",
    "Identifier",
    "Metrics",
    "NodeState",
    "Percentiles",
    "Picture",
    "PictureDrift",
    "ScoreDrift",
    "Topics",
    "parse_event",
]

ROOT = "vedette/v1"

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=64)]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node. Build with validated `Identifier`s, or `+` to subscribe to all.

    >>> Topics("hall", "node-1").events("door")
    'vedette/v1/hall/node-1/cam/door/events'
    """

    site: str
    node: str

    @property
    def state(self) -> str:
        """Whether the node is there (`NodeState`)."""
        return f"{self._node}/state"

    @property
    def birth(self) -> str:
        """What the node is (`Birth`)."""
        return f"{self._node}/birth"

    @property
    def metrics(self) -> str:
        """How the node is doing (`Metrics`)."""
        return f"{self._node}/metrics"

    def status(self, camera: str) -> str:
        """Whether a camera gives frames (`CameraStatus`)."""
        return f"{self._node}/cam/{camera}/status"

    def events(self, camera: str) -> str:
        """What a camera saw (`Event`)."""
        return f"{self._node}/cam/{camera}/events"

    def heatmap(self, camera: str) -> str:
        """Where it saw it: the picture of the latest event, JPEG."""
        return f"{self._node}/cam/{camera}/heatmap"

    def drift(self, camera: str, model: str) -> str:
        """How far a camera is from what a model knows (`DriftReport`)."""
        return f"{self._node}/cam/{camera}/drift/{model}"

    @property
    def _node(self) -> str:
        return f"{ROOT}/{self.site}/{self.node}"


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NodeState(_Payload):
    """Payload of `state`; the will is the same with `lost`."""

    state: Literal["init", "ready", "degraded", "sleeping", "disconnected", "lost"]
    session: int = Field(ge=0, description="Rises with every connection; the same in birth and will.")
    boot: str = Field(description="Identifies this run of the agent.")
    ts: float = Field(description="Unix time, seconds.")


class BirthCamera(_Payload):
    """One camera in `birth`."""

    id: Identifier
    source: str = Field(description="Kind of source, without address or credentials.")


class Birth(_Payload):
    """Payload of `birth`: what the node is."""

    session: int = Field(ge=0)
    boot: str
    ts: float = Field(description="Unix time, seconds.")
    agent: str = Field(description="Version of the agent.")
    model: str
    model_sha256: str = Field(description="Digest of the bundle's manifest.")
    variant: str
    labels: tuple[str, ...]
    cameras: tuple[BirthCamera, ...]
    schemas: dict[str, int] = Field(description="Version of each payload's schema.")


class CameraStatus(_Payload):
    """Payload of `cam/{cam}/status`."""

    status: Literal["online", "stalled", "offline", "disabled"]
    reason: str = ""
    ts: float = Field(description="Unix time, seconds.")


class Area(_Payload):
    """A box in fractions of the picture, y downwards."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    w: float = Field(ge=0, le=1)
    h: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, box: Box) -> Area:
        """Return the box as a payload, rounded to a tenth of a percent."""
        return cls(x=round(box.x, 3), y=round(box.y, 3), w=round(box.w, 3), h=round(box.h, 3))


class Picture(_Payload):
    """The heatmap picture that belongs to an event."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class Event(_Payload):
    """Payload of `cam/{cam}/events`. An action is one `id`: `new`, perhaps `update`s, then `end`."""

    type: Literal["new", "update", "end"]
    kind: Literal["detection", "tamper"] = Field(
        default="detection",
        description="tamper: of the camera itself; labels tamper-covered, -moved, -defocused, -frozen.",
    )
    id: str = Field(description="ULID of the event, the same from `new` to `end`.")
    seq: int = Field(ge=1, description="Rises by one with each event message of this boot.")
    boot: str
    camera: Identifier
    label: str
    score: float = Field(ge=0, le=1, description="Smoothed probability now.")
    top_score: float = Field(ge=0, le=1, description="Highest since the event began.")
    start_time: float = Field(description="Unix time, seconds.")
    end_time: float | None = Field(default=None, description="Unix time, seconds; with `end`.")
    frame_time: float = Field(description="Unix time of the frame in the picture, seconds.")
    position: float = Field(ge=0, description="Seconds of `frame_time` since the source began.")
    start_position: float = Field(ge=0, description="Seconds of `start_time` since the source began.")
    end_position: float | None = Field(default=None, ge=0)
    area: Area = Field(description="The box around the hottest part of the heatmap.")
    hottest: tuple[float, float] = Field(description="(x, y) of the heatmap's peak, fractions.")
    zone: str | None = None
    picture: Picture | None = None
    model_sha256: str
    hist: bool = Field(default=False, description="Sent late, from the store.")


class Percentiles(_Payload):
    """Spread of a duration, milliseconds."""

    count: int = Field(ge=0)
    p50: float = Field(ge=0)
    p95: float = Field(ge=0)
    max: float = Field(ge=0)


class Metrics(_Payload):
    """Payload of `metrics`."""

    ts: float = Field(description="Unix time, seconds.")
    boot: str
    uptime: float = Field(ge=0, description="Seconds.")
    frames: int = Field(ge=0, description="Frames read.")
    dropped: int = Field(ge=0, description="Frames dropped because inference was behind.")
    windows: int = Field(ge=0, description="Clips that the network judged.")
    events: int = Field(ge=0, description="Event messages written to the outbox.")
    outbox: int = Field(ge=0, description="Messages waiting for the broker.")
    inference_ms: Percentiles
    publish_ms: Percentiles = Field(description="From capture of a clip's last frame to the broker's PUBACK.")
    rss_bytes: int = Field(ge=0)


class ScoreDrift(_Payload):
    """The probabilities of one label, against those of the reference."""

    psi: float = Field(ge=0, description="Population stability index.")
    ks: float = Field(ge=0, le=1, description="Kolmogorov-Smirnov distance.")
    mean: float = Field(ge=0, le=1)
    drifted: bool


class PictureDrift(_Payload):
    """A property of the pictures, against that of the reference."""

    mean: float
    deviations: float = Field(description="From the reference's mean, in its standard deviations.")
    drifted: bool


class DriftReport(_Payload):
    """Payload of `cam/{cam}/drift/{model}`: the latest verdicts against the manifest's `statistics`."""

    ts: float = Field(description="Unix time, seconds.")
    boot: str
    camera: Identifier
    model: Identifier = Field(description="Its name in the configuration.")
    model_sha256: str
    windows: int = Field(ge=1, description="Verdicts that were compared.")
    drifted: bool = Field(description="Whether any of the figures below has.")
    scores: dict[str, ScoreDrift] = Field(description="By label.")
    pictures: dict[str, PictureDrift] = Field(description="brightness and contrast.")
    unsure: float = Field(ge=0, le=1, description="Share of verdicts of which the model was unsure.")


def parse_event(payload: bytes) -> Event:
    """Read an event payload from the wire.

    Raises:
        DataError: when it is not an event of this contract.
    """
    try:
        return Event.model_validate_json(payload)
    except ValidationError as error:
        raise DataError(f"not an event of {ROOT}: {describe_errors(error, Event)}") from error
