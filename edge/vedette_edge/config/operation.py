"""How the agent is watched, and how it spares its device."""

from __future__ import annotations

from pydantic import Field

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
    warm_celsius: float = Field(default=75.0, gt=0, description="Above it, do less.")
    hot_celsius: float = Field(default=90.0, gt=0, description="Above it, pause.")
    free_memory_bytes: int = Field(default=134_217_728, ge=0, description="With less left, do less.")
