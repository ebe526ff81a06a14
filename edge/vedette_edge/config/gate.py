"""When a camera is worth a look: motion gate, tamper detection; and whether the scene drifts."""

from __future__ import annotations

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Polygon, Section

__all__ = ["DriftConfig", "GateConfig", "TamperConfig"]


class GateConfig(Section):
    """Judge only while something moves."""

    enabled: bool = False
    sensitivity: float = Field(default=0.5, ge=0, le=1, description="Higher opens at less motion.")
    masks: tuple[Polygon, ...] = Field(default=(), description="Where motion does not count.")
    confirm: int = Field(default=2, ge=1, le=100, description="Frames with motion before the gate opens.")
    preroll: float = Field(
        default=2.0, ge=0, le=30, description="Seconds before the motion that are judged too."
    )
    preroll_max_bytes: int = Field(
        default=67_108_864, ge=1_048_576, description="Of memory for them; then every second frame goes."
    )
    hold: float = Field(default=3.0, ge=0, description="Seconds without motion before the gate closes.")


class TamperConfig(Section):
    """Tell when the camera itself is covered, moved, out of focus or frozen."""

    enabled: bool = False
    after: float = Field(default=5.0, gt=0, description="Seconds that it must last.")
    accept_after: float = Field(
        default=600.0,
        gt=0,
        description="Seconds after which a moved or defocused view counts as the new one.",
    )


class DriftConfig(Section):
    """Compare what the model sees with what it was trained on."""

    enabled: bool = False
    window: int = Field(default=500, ge=20, description="Scores that are compared at a time.")
    samples_directory: LocalPath | None = Field(
        default=None, description="Keep pictures here of which the model was unsure, to label them."
    )
    samples_max_bytes: int = Field(default=104_857_600, ge=1_048_576, description="Then the oldest go.")
    samples_margin: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Unsure: the first label is ahead of the second by less than this; of one label alone: "
        "it is less than half of this away from 0.5.",
    )
    samples_interval: float = Field(
        default=60.0, ge=0, description="Seconds between two samples of a camera and model."
    )
