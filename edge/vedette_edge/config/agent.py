"""The whole configuration: the node, its models, its cameras."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from vedette_edge.config.gate import DriftConfig, GateConfig, TamperConfig
from vedette_edge.config.models import AUTO, ModelConfig
from vedette_edge.config.mqtt import CommandsConfig, HomeAssistantConfig, MqttConfig, OutboxConfig
from vedette_edge.config.operation import GovernorConfig, PrometheusConfig
from vedette_edge.config.ota import OtaConfig
from vedette_edge.config.pictures import ClipsConfig, PrivacyConfig, SnapshotConfig
from vedette_edge.config.rules import DecisionOverride, RuleConfig, ScheduleConfig, Zone
from vedette_edge.config.sections import LocalPath, Section, Threads
from vedette_edge.config.sources import BackPressure, CaptureConfig, SourceConfig
from vedette_edge.topics import Identifier

__all__ = ["MAIN", "AgentConfig", "CameraConfig"]

MAIN = "main"
"""Name of the model that `bundle` alone stands for."""


class CameraConfig(Section):
    """One camera."""

    id: Identifier = Field(description="Part of its MQTT topics: a-z, 0-9 and hyphens.")
    enabled: bool = True
    priority: int = Field(
        default=50, ge=0, le=100, description="Where the device must do less, low ones go first."
    )
    source: SourceConfig
    capture: CaptureConfig = CaptureConfig()
    back_pressure: BackPressure | None = Field(
        default=None, description="Frames that the model has no time for; null: as the source suggests."
    )
    models: tuple[Identifier, ...] | None = Field(default=None, description="Names of `models`; null: all.")
    decision: DecisionOverride = DecisionOverride()
    labels: tuple[str, ...] | None = Field(
        default=None, description="Labels that may alarm here; by default those that the bundle marks."
    )
    zones: dict[Identifier, Zone] = Field(
        default={}, description="Parts of the picture by name; events say in which they are."
    )
    rules: dict[str, RuleConfig] = Field(
        default={}, description="What is otherwise for a label, by its name; the rest is as in `decision`."
    )
    schedule: ScheduleConfig | None = Field(
        default=None, description="When events may be; null: always. A rule's own replaces it."
    )
    gate: GateConfig = GateConfig()
    tamper: TamperConfig = TamperConfig()
    privacy: PrivacyConfig = PrivacyConfig()

    @property
    def pressure(self) -> BackPressure:
        """What happens to frames that the model has no time for."""
        return self.back_pressure or self.source.back_pressure


class AgentConfig(Section):
    """Everything that `edge-agent run` needs to know."""

    site: Identifier = Field(description="Where this device stands; part of every topic.")
    node: Identifier = Field(description="This device; unique within its site.")
    board: str = Field(
        default=AUTO,
        description="Profile in firmware-configs/boards whose defaults lie under this file; auto: the one "
        "that is recognised; none: none.",
    )
    bundle: LocalPath | None = Field(
        default=None, description="Directory that vedette-convert wrote: the one model; or give `models`."
    )
    variant: str = Field(default=AUTO, description="With `bundle`: see `models`.")
    threads: Threads = Field(default=0, description="With `bundle`: see `models`.")
    models: dict[Identifier, ModelConfig] = Field(
        default={}, description="Models by name, instead of `bundle`."
    )
    state_dir: LocalPath = Field(
        default=Path("/var/lib/edge-agent"),
        description="Keeps undelivered messages and measurements.",
    )
    mqtt: MqttConfig = MqttConfig()
    outbox: OutboxConfig = OutboxConfig()
    commands: CommandsConfig = CommandsConfig()
    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
    cameras: tuple[CameraConfig, ...] = Field(min_length=1)
    snapshots: SnapshotConfig = SnapshotConfig()
    clips: ClipsConfig = ClipsConfig()
    drift: DriftConfig = DriftConfig()
    prometheus: PrometheusConfig = PrometheusConfig()
    governor: GovernorConfig = GovernorConfig()
    ota: OtaConfig | None = Field(default=None, description="Updates of models; null: none.")
    metrics_interval: float = Field(default=30, ge=1, le=3600, description="Seconds between two reports.")
    drain_timeout: float = Field(
        default=10, ge=0, le=600, description="Seconds to deliver what is left, at the end."
    )

    @field_validator("cameras")
    @classmethod
    def _cameras_differ(cls, cameras: tuple[CameraConfig, ...]) -> tuple[CameraConfig, ...]:
        names = [camera.id for camera in cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each camera needs an id of its own, used twice: {', '.join(twice)}")
        return cameras

    @model_validator(mode="after")
    def _models_are_given_once(self) -> AgentConfig:
        if (self.bundle is None) == (not self.models):
            raise ValueError("give either bundle (one model) or models (several, by name)")
        if self.models and (self.variant != AUTO or self.threads):
            raise ValueError("variant and threads belong to bundle; with models, give them there")
        return self

    @model_validator(mode="after")
    def _cameras_name_known_models(self) -> AgentConfig:
        for camera in self.cameras:
            unknown = sorted(set(camera.models or ()) - set(self.every_model))
            if unknown:
                known = ", ".join(self.every_model)
                raise ValueError(
                    f"camera '{camera.id}', models: there is no {', '.join(unknown)}; there is: {known}"
                )
        return self

    @property
    def every_model(self) -> dict[str, ModelConfig]:
        """The models by name, also where `bundle` stands for the only one."""
        if self.bundle is None:
            return self.models
        return {MAIN: ModelConfig(bundle=self.bundle, variant=self.variant, threads=self.threads)}

    def models_of(self, camera: CameraConfig) -> dict[str, ModelConfig]:
        """Return the models that judge a camera, by name."""
        every = self.every_model
        return every if camera.models is None else {name: every[name] for name in camera.models}
