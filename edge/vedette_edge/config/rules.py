"""By what rules a camera's scores become events."""

from __future__ import annotations

from pydantic import Field

from vedette_edge.config.sections import Section
from vedette_edge.manifest import Probability

__all__ = ["DecisionOverride"]


class DecisionOverride(Section):
    """What a camera does otherwise than the bundle's `decision`; the fields are those of `Decision`."""

    on_threshold: Probability | None = Field(
        default=None, description="Smoothed score that begins an event, 0..1."
    )
    off_threshold: Probability | None = Field(
        default=None, description="An event ends below this score, 0..1."
    )
    min_duration: float | None = Field(default=None, ge=0, description="Seconds at `on` before an event.")
    cooldown: float | None = Field(default=None, ge=0, description="Seconds from an end to the next event.")
    smoothing: int | None = Field(default=None, ge=1, description="Scores averaged, in windows.")
    hop: int | None = Field(default=None, ge=1, description="Sampled frames from one window to the next.")
    temperature: float | None = Field(default=None, gt=0, description="Divides the logits before softmax.")
