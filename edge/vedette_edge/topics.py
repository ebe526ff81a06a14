"""The MQTT contract: topic names and payloads. Pure; nothing here connects to anything.

    vedette/v1/{site}/{node}/state                 retained, also the last will
    vedette/v1/{site}/{node}/birth                 retained, what the node is
    vedette/v1/{site}/{node}/metrics               how it is doing
    vedette/v1/{site}/{node}/governor              retained, what it does to spare its device
    vedette/v1/{site}/{node}/config/report         retained, what became of the latest configuration
    vedette/v1/{site}/{node}/ota/report            retained, where the updates of its models stand
    vedette/v1/{site}/{node}/ota/desired           to the node, retained: look for updates now
    vedette/v1/{site}/{node}/gap                   what was dropped because too much waited
    vedette/v1/{site}/{node}/cmd/{name}            to the node, never retained; see `remote.commands`
    vedette/v1/{site}/{node}/cmd/{name}/response   what became of it
    vedette/v1/{site}/{node}/cam/{cam}/status      retained
    vedette/v1/{site}/{node}/cam/{cam}/events      new, update, end
    vedette/v1/{site}/{node}/cam/{cam}/count/{label}   retained, how many events of a label go on
    vedette/v1/{site}/{node}/cam/{cam}/heatmap     retained, a picture: JPEG or WebP bytes
    vedette/v1/{site}/{node}/cam/{cam}/drift/{model}   retained, how far it is from what the model knows
    vedette/v1/{site}/{node}/cam/{cam}/snapshot    the plain frame, on demand; the same bytes
    vedette/v1/{site}/host/{id}/state              retained, from a control room: whether it listens

`site`, `node` and `cam` are of a-z, 0-9 and hyphens (Homie 5, topic IDs), so no wildcard or level can
be injected. Payloads are JSON but for pictures and counts. Birth and will share QoS and retain flag, and
carry the same `session` number (Sparkplug's bdSeq), so a late will cannot outdo a newer birth.

An event names its picture by SHA-256 (`picture`), which is how a subscriber pairs the two whatever
the MQTT version; the picture is sent first. Delivery is at least once: drop an event whose
(`boot`, `seq`) was seen before. What was sent late says so (`hist`), and comes after what is new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import DataError
from vedette_edge.types import Box
from vedette_edge.validation import describe_errors

__all__ = [
    "ROOT",
    "Area",
    "Birth",
    "BirthCamera",
    "BirthModel",
    "CameraMetrics",
    "CameraStatus",
    "ConfigReport",
    "DriftReport",
    "Event",
    "Gap",
    "GovernorState",
    "HostState",
    "Identifier",
    "Metrics",
    "ModelMetrics",
    "NodeState",
    "Percentiles",
    "Picture",
    "PictureDrift",
    "ScoreDrift",
    "StepName",
    "Topics",
    "parse_event",
    "topic_part",
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

    @property
    def governor(self) -> str:
        """What the node does to spare its device (`GovernorState`)."""
        return f"{self._node}/governor"

    @property
    def doctor(self) -> str:
        """Where `edge-agent doctor` tries whether this node may write; nobody need read it."""
        return f"{self._node}/doctor"

    @property
    def config_report(self) -> str:
        """What became of the latest configuration (`ConfigReport`)."""
        return f"{self._node}/config/report"

    @property
    def ota_report(self) -> str:
        """Where the updates of its models stand (`ota.payloads.OtaReport`)."""
        return f"{self._node}/ota/report"

    @property
    def ota_desired(self) -> str:
        """Where the node is asked to look for updates (`ota.payloads.OtaDesired`)."""
        return f"{self._node}/ota/desired"

    @property
    def gap(self) -> str:
        """What was dropped because too much waited (`Gap`)."""
        return f"{self._node}/gap"

    @property
    def hosts(self) -> str:
        """Filter of the states of the site's control rooms (`HostState`)."""
        return f"{ROOT}/{self.site}/host/+/state"

    def command(self, name: str) -> str:
        """Where the node is asked for something (`remote.commands.Request`)."""
        return f"{self._node}/cmd/{name}"

    def response(self, name: str) -> str:
        """What became of it (`remote.commands.Result`)."""
        return f"{self._node}/cmd/{name}/response"

    def status(self, camera: str) -> str:
        """Whether a camera gives frames (`CameraStatus`)."""
        return f"{self._node}/cam/{camera}/status"

    def events(self, camera: str) -> str:
        """What a camera saw (`Event`)."""
        return f"{self._node}/cam/{camera}/events"

    def count(self, camera: str, label: str) -> str:
        """How many events of a label go on now: a number."""
        return f"{self._node}/cam/{camera}/count/{topic_part(label)}"

    def heatmap(self, camera: str) -> str:
        """Where it saw it: the picture of the latest event."""
        return f"{self._node}/cam/{camera}/heatmap"

    def snapshot(self, camera: str) -> str:
        """What it sees now: a plain picture, when it was asked for."""
        return f"{self._node}/cam/{camera}/snapshot"

    def drift(self, camera: str, model: str) -> str:
        """How far a camera is from what a model knows (`DriftReport`)."""
        return f"{self._node}/cam/{camera}/drift/{model}"

    @property
    def _node(self) -> str:
        return f"{ROOT}/{self.site}/{self.node}"


def topic_part(text: str) -> str:
    """Return a name as a level of a topic: of a-z, 0-9 and hyphens.

    >>> topic_part("Push Up (slow)")
    'push-up-slow'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NodeState(_Payload):
    """Payload of `state`; the will is the same with `lost`."""

    state: Literal["init", "ready", "degraded", "sleeping", "disconnected", "lost"]
    session: int = Field(ge=0, description="Rises with every connection; the same in birth and will.")
    boot: str = Field(description="Identifies this run of the agent.")
    reason: str = Field(default="", description="With `degraded`: what is wrong.")
    ts: float = Field(description="Unix time, seconds.")


class BirthCamera(_Payload):
    """One camera in `birth`."""

    id: Identifier
    source: str = Field(description="Kind of source, without address or credentials.")


class BirthModel(_Payload):
    """One model in `birth`."""

    name: str = Field(description="As the configuration names it.")
    title: str = Field(description="As its bundle names it.")
    sha256: str = Field(description="Digest of the bundle's manifest.")
    variant: str = Field(description="Which form of the model runs.")
    runtime: str
    mode: Literal["clip", "stream"]
    labels: tuple[str, ...]
    release: int | None = Field(
        default=None,
        ge=0,
        description="Of a model that is updated; 0: put there by hand.",
    )


class Birth(_Payload):
    """Payload of `birth`: what the node is."""

    version: int = Field(ge=1, description="Rises within a boot when models or cameras change.")
    session: int = Field(ge=0)
    boot: str
    ts: float = Field(description="Unix time, seconds.")
    agent: str = Field(description="Version of the agent.")
    models: tuple[BirthModel, ...]
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
    model: str = Field(default="", description="As the configuration names it.")
    model_sha256: str
    hist: bool = Field(default=False, description="Sent late, from the store.")


class Percentiles(_Payload):
    """Spread of a duration, milliseconds."""

    count: int = Field(ge=0)
    p50: float = Field(ge=0)
    p95: float = Field(ge=0)
    max: float = Field(ge=0)


_NOT_MEASURED = Percentiles(count=0, p50=0.0, p95=0.0, max=0.0)


class CameraMetrics(_Payload):
    """One camera in `metrics`."""

    id: Identifier
    fps: float = Field(ge=0, description="Frames read a second, lately.")
    frames: int = Field(ge=0, description="Frames read.")
    dropped: int = Field(ge=0, description="Frames dropped because inference was behind.")
    queued: int = Field(ge=0, description="Frames that wait for inference.")
    restarts: int = Field(ge=0, description="How often it came back.")


class ModelMetrics(_Payload):
    """One model in `metrics`."""

    name: Identifier
    variant: str = Field(description="Which form of the model runs.")
    inference_ms: Percentiles
    failovers: int = Field(ge=0, description="How often another variant had to take over.")


class Metrics(_Payload):
    """Payload of `metrics`. What an older agent does not tell has a default."""

    ts: float = Field(description="Unix time, seconds.")
    boot: str
    uptime: float = Field(ge=0, description="Seconds.")
    frames: int = Field(ge=0, description="Frames read.")
    dropped: int = Field(ge=0, description="Frames dropped because inference was behind.")
    windows: int = Field(ge=0, description="Clips that the network judged.")
    events: int = Field(ge=0, description="Event messages written to the outbox.")
    outbox: int = Field(ge=0, description="Messages waiting for the broker.")
    cameras: tuple[CameraMetrics, ...] = ()
    models: tuple[ModelMetrics, ...] = ()
    queue_ms: Percentiles = Field(
        default=_NOT_MEASURED, description="From capture of a frame to the start of its processing."
    )
    gate_ms: Percentiles = Field(default=_NOT_MEASURED, description="Of the motion gate, a frame.")
    inference_ms: Percentiles = Field(description="Of all models, a call.")
    decide_ms: Percentiles = Field(default=_NOT_MEASURED, description="Of decision and drawing, a verdict.")
    publish_ms: Percentiles = Field(description="From capture of a clip's last frame to the broker's PUBACK.")
    temperature_c: float | None = Field(
        default=None, description="Of the hottest sensor that counts, degrees Celsius."
    )
    rss_bytes: int = Field(ge=0, description="Resident memory of the agent's process.")
    rss_total_bytes: int = Field(
        default=0, ge=0, description="Of it and its child processes; memory that they share counts for each."
    )
    governor: int = Field(default=0, ge=0, le=6, description="Step of the governor; 0: nothing is held back.")


StepName: TypeAlias = Literal[
    "normal",
    "fewer-pictures",
    "longer-hop",
    "smaller-pictures",
    "cheaper-variant",
    "cameras-paused",
    "all-paused",
]


class GovernorState(_Payload):
    """Payload of `governor`; each step holds back what those before it do, and more."""

    ts: float = Field(description="Unix time, seconds.")
    step: int = Field(ge=0, le=6)
    name: StepName
    reason: str = Field(description="What led here; empty at step 0.")
    paused: tuple[Identifier, ...] = Field(description="Cameras that are paused.")


class ConfigReport(_Payload):
    """Payload of `config/report`."""

    ts: float = Field(description="Unix time, seconds.")
    ok: bool = Field(description="Whether it is right; where it is not, the old one stays.")
    dry_run: bool = Field(default=False, description="It was only tried; nothing was changed.")
    sha256: str = Field(description="Of the document.")
    error: str = ""
    changes: tuple[str, ...] = Field(default=(), description="Sentences.")


class Gap(_Payload):
    """Payload of `gap`: what was dropped because too much waited, of one run of the agent."""

    boot: str = Field(description='The run that wrote it; "" for what belongs to no event.')
    ts: float = Field(description="Unix time of the last drop, seconds.")
    new: int = Field(default=0, ge=0)
    update: int = Field(default=0, ge=0)
    end: int = Field(default=0, ge=0)
    picture: int = Field(default=0, ge=0)
    other: int = Field(default=0, ge=0)
    from_seq: int | None = Field(default=None, description="Lowest `seq` among them.")
    to_seq: int | None = Field(default=None, description="Highest `seq` among them.")
    from_time: float | None = Field(default=None, description="Earliest `frame_time`, Unix, seconds.")
    to_time: float | None = Field(default=None, description="Latest `frame_time`, Unix, seconds.")


class HostState(_Payload):
    """Payload of `host/{id}/state`, retained, and as the control room's will with `online` false."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    online: bool
    timestamp: int = Field(ge=0, description="Unix time, milliseconds; the latest counts.")


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
