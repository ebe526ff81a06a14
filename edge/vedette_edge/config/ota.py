"""Where models are updated from, and what a new one must show before it stays."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from vedette_edge.config.sections import Fraction, LocalPath, Section
from vedette_edge.topics import Identifier

__all__ = ["OtaConfig"]

_METADATA = "metadata"  # as `ota.layout` has it


class OtaConfig(Section):
    """Updates of models from afar."""

    url: str = Field(description="Of the repository, http or https; metadata/ and targets/ lie below it.")
    fleet: Identifier = Field(description="Whose releases this device takes.")
    root: LocalPath = Field(
        default=Path("/etc/edge-agent/root.json"),
        description="The repository's first root metadata.",
    )
    store: LocalPath = Field(
        default=Path("/var/lib/edge-models"),
        description="Where models lie; a model's `bundle` is its directory in there.",
    )
    models: tuple[Identifier, ...] = Field(min_length=1, description="Names of models in the repository.")
    deadline: float = Field(default=3600.0, gt=0, description="Seconds that one visit may take to download.")
    least_rate: float = Field(default=1024.0, ge=0, description="Bytes a second, over 30 s; slower ends it.")
    most_bytes: int = Field(default=1_073_741_824, ge=1, description="Of a release.")
    shadow: float = Field(
        default=120.0, ge=0, description="Seconds beside the old model without alarms before it takes over."
    )
    least_agreement: Fraction = Field(
        default=0.0, description="Of the shadow's verdicts with those of the old model; below it is refused."
    )
    trial: float = Field(default=300.0, gt=0, description="Seconds of frames and verdicts before it stays.")
    trial_deadline: float = Field(
        default=86_400.0, gt=0, description="Seconds within which a shadow or trial must have come to an end."
    )
    tries: int = Field(default=3, ge=1, le=100, description="Starts of the agent that a trial may take.")

    @field_validator("models")
    @classmethod
    def _models_have_places_of_their_own(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(models)) != len(models):
            raise ValueError("a model stands twice")
        if _METADATA in models:
            raise ValueError(f"no model can be named {_METADATA}: that place of the store is taken")
        return models

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")) or "@" in url or len(url) > 2048:
            raise ValueError("must be http:// or https://, without credentials")
        return url.rstrip("/")
