"""The arguments of each command, and its name. Strict: what is not named here is refused."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from vedette_edge.topics import Identifier

__all__ = [
    "COMMANDS",
    "Arguments",
    "CameraArguments",
    "ConfigArguments",
    "NoArguments",
    "ThresholdArguments",
    "TriggerArguments",
]


class Arguments(BaseModel):
    """The `args` of a command."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NoArguments(Arguments):
    """Of `reload` (read the configuration file again) and `describe` (tell what the node is)."""


class CameraArguments(Arguments):
    """Of `snapshot` (publish the plain frame), `enable` and `disable`."""

    camera: Identifier


class ThresholdArguments(Arguments):
    """Of `set_threshold`: until the next start or reload."""

    camera: Identifier
    label: str = Field(min_length=1, max_length=128)
    value: float = Field(ge=0, le=1, description="Smoothed score that begins an event.")
    model: Identifier | None = Field(default=None, description="Null: every model that has the label.")


class TriggerArguments(Arguments):
    """Of `trigger`: have models that judge single pictures judge the next one."""

    camera: Identifier
    model: Identifier | None = Field(default=None, description="Null: every such model.")


class ConfigArguments(Arguments):
    """Of `config`: take another configuration. It takes effect as with `reload`."""

    document: str = Field(min_length=1, description="The whole configuration, YAML.")
    dry_run: bool = Field(default=True, description="Only say what would change.")


COMMANDS: Mapping[str, type[Arguments]] = {
    "snapshot": CameraArguments,
    "enable": CameraArguments,
    "disable": CameraArguments,
    "set_threshold": ThresholdArguments,
    "reload": NoArguments,
    "describe": NoArguments,
    "trigger": TriggerArguments,
    "config": ConfigArguments,
}
"""Name of each command, as in its topic, and its arguments."""
