"""Which models run here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Section, Threads

__all__ = ["AUTO", "ModelConfig", "TriggerConfig"]

AUTO = "auto"


class TriggerConfig(Section):
    """When a model that judges single pictures does so."""

    every: float | None = Field(
        default=None, gt=0, description="Seconds between two pictures; null: only at the command `trigger`."
    )


class ModelConfig(Section):
    """One model."""

    bundle: LocalPath = Field(description="Directory that vedette-convert wrote.")
    variant: str = Field(
        default=AUTO,
        description="Variant of the bundle by name; or auto: the fastest that works here, as `edge-agent "
        "benchmark` measured, and unmeasured the first that works.",
    )
    mode: Literal["auto", "clip", "stream"] = Field(
        default="auto", description="auto: stream where the bundle has one that works here, else clip."
    )
    threads: Threads = Field(default=0, description="Of one inference; 0: the runtime's choice.")
    trigger: TriggerConfig | None = Field(
        default=None, description="Of models that judge single pictures; null: every sampled frame."
    )
