"""What is said of updates over MQTT: reports to the control room, and its hints. No bytes, no addresses."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import DataError
from vedette_edge.ota.evidence import ShadowFigures
from vedette_edge.ota.record import Installed, Outcome, State
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = ["MOST_HINT_BYTES", "ModelReport", "OtaDesired", "OtaReport", "read_desired"]

MOST_HINT_BYTES = 1024


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelReport(_Payload):
    """One model in `ota/report`."""

    model: Identifier = Field(description="Its name in the repository.")
    names: tuple[Identifier, ...] = Field(description="Those that the configuration gives it.")
    state: State = Field(description="Where its update stands.")
    since: float = Field(ge=0, description="Unix time at which that began.")
    seq: int = Field(ge=0, description="Rises with each step of an update.")
    runs: Installed | None = Field(description="What alarms now.")
    candidate: Installed | None = Field(default=None, description="What is under way.")
    starts: int = Field(default=0, ge=0, description="Of the agent with the candidate, in this state.")
    failed: str = Field(default="", description="Why the agent left the candidate.")
    shadow: ShadowFigures | None = Field(default=None, description="Of the candidate, or of what it became.")
    outcome: Outcome | None = Field(default=None, description="How the last update ended.")


class OtaReport(_Payload):
    """Payload of `ota/report`."""

    schema_version: Literal[1] = 1
    ts: float = Field(description="Unix time, seconds.")
    boot: str = Field(description="The run of the agent.")
    models: tuple[ModelReport, ...]
    hints_ignored: int = Field(default=0, ge=0, description="Messages on `ota/desired` that were none.")


class OtaDesired(BaseModel):
    """Payload of `ota/desired`: look for updates now, or from `not_before` on. It decides nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    campaign: Identifier = Field(description="Whose sake it is for; for the log.")
    wave: int = Field(default=0, ge=0, le=1_000_000, description="Of the campaign; for the log.")
    not_before: float = Field(default=0.0, ge=0, description="Unix time, seconds.")


def read_desired(payload: bytes) -> OtaDesired:
    """Read a hint from the wire.

    Raises:
        DataError: when it is too long, or none.
    """
    if len(payload) > MOST_HINT_BYTES:
        raise DataError(f"a hint has {len(payload)} bytes, at most {MOST_HINT_BYTES} are taken")
    try:
        return OtaDesired.model_validate_json(payload)
    except ValidationError as error:
        raise DataError(f"not a hint: {describe_errors(error, OtaDesired)}") from error
