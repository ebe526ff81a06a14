"""What is told of a clip: the JSON file beside the video."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vedette_edge.topics import Event, Identifier

__all__ = ["ClipEvent", "ClipRecord"]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ClipEvent(_Payload):
    """One event of a clip; the names are those of the event's messages."""

    id: str
    label: str
    top_score: float = Field(ge=0, le=1)
    start_time: float = Field(description="Unix time, seconds.")
    end_time: float | None = Field(description="Unix time, seconds; null: it went on when the clip was over.")
    model_sha256: str

    @classmethod
    def of(cls, event: Event) -> ClipEvent:
        """Return what a clip tells of an event, by its latest message."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


class ClipRecord(_Payload):
    """One clip."""

    camera: Identifier
    start_time: float = Field(description="Unix time of the first frame, seconds.")
    end_time: float = Field(description="Unix time of the last frame, seconds.")
    events: tuple[ClipEvent, ...]
    frames: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
