"""How the agent is watched, and how it spares its device."""

from __future__ import annotations

from pydantic import Field, model_validator

from vedette_edge.config.sections import Section

__all__ = ["GovernorConfig", "PrometheusConfig"]


class PrometheusConfig(Section):
    """Figures for Prometheus, by HTTP at /metrics."""

    enabled: bool = False
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=9464, ge=1, le=65535)


class GovernorConfig(Section):
    """Do less before the device overheats or runs out of memory."""

    enabled: bool = True
    warm_celsius: float = Field(default=75.0, gt=0, description="From here on, do less, step by step.")
    hot_celsius: float = Field(default=90.0, gt=0, description="From here on, pause all cameras.")
    free_memory_bytes: int = Field(
        default=134_217_728, ge=0, description="With less left, do less; with half of it, pause. 0: never."
    )
    free_gpu_bytes: int = Field(
        default=0, ge=0, description="With less memory of its own left to the GPU, do less. 0: never."
    )
    load: float = Field(
        default=4.0, ge=0, description="With more threads than this waiting per core, do less. 0: never."
    )
    memory_stall: float = Field(
        default=20.0, ge=0, le=100, description="Per cent of time lost to lack of memory; 0: never."
    )
    rise: float = Field(default=10.0, gt=0, description="Seconds of strain before the next step.")
    fall: float = Field(default=60.0, gt=0, description="Seconds of calm before a step back.")

    @model_validator(mode="after")
    def _hot_is_hotter(self) -> GovernorConfig:
        if self.hot_celsius <= self.warm_celsius:
            raise ValueError(
                f"hot_celsius ({self.hot_celsius:g}) must be above warm_celsius ({self.warm_celsius:g})"
            )
        return self
