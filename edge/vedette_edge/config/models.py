"""Which models run here."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Section, Threads
from vedette_edge.runtimes.base import Provider

__all__ = ["AUTO", "Mode", "ModelConfig", "TriggerConfig"]

AUTO: Final = "auto"
Mode: TypeAlias = Literal["auto", "clip", "stream"]


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
        description="Variant of the bundle by name; or auto: the one that costs least here, as "
        "`edge-agent benchmark` measured; unmeasured the first that works, streams before clips.",
    )
    mode: Mode = Field(
        default=AUTO, description="clip: a window of frames, again each hop. stream: each frame once."
    )
    threads: Threads = Field(default=0, description="Of one inference; 0: the runtime's choice.")
    providers: tuple[Provider, ...] | None = Field(
        default=None,
        description="What ONNX Runtime runs it on, in the order to try; null: all that the installed build "
        "offers. The CPU is always the last. An accelerator must reproduce the golden samples, too.",
    )
    trigger: TriggerConfig | None = Field(
        default=None, description="Of models that judge single pictures; null: every sampled frame."
    )
