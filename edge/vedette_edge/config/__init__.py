"""The agent's configuration: one YAML file, read once, frozen, strict; a module for each of its parts.

Every wrong key is reported at once, with the nearest known one. Relative paths are relative to the file
they stand in. Unknown and duplicate keys are errors, so a mistyped setting never silently keeps its
default. `firmware-configs/edge-agent.example.yaml` documents every default.
"""

from __future__ import annotations

from vedette_edge.config.agent import MAIN, AgentConfig, CameraConfig
from vedette_edge.config.fit import alarm_labels, check_cameras, decision_for, rules_for
from vedette_edge.config.load import load_config, parse_config
from vedette_edge.config.models import AUTO, ModelConfig, TriggerConfig
from vedette_edge.config.mqtt import MqttConfig, TlsConfig
from vedette_edge.config.operation import GovernorConfig, PrometheusConfig
from vedette_edge.config.pictures import SnapshotConfig
from vedette_edge.config.rules import DecisionOverride, PeriodConfig, RuleConfig, ScheduleConfig
from vedette_edge.config.sections import Threads
from vedette_edge.config.sources import CaptureConfig, FileSourceConfig

__all__ = [
    "AUTO",
    "MAIN",
    "AgentConfig",
    "CameraConfig",
    "CaptureConfig",
    "DecisionOverride",
    "FileSourceConfig",
    "GovernorConfig",
    "ModelConfig",
    "MqttConfig",
    "PeriodConfig",
    "PrometheusConfig",
    "RuleConfig",
    "ScheduleConfig",
    "SnapshotConfig",
    "Threads",
    "TlsConfig",
    "TriggerConfig",
    "alarm_labels",
    "check_cameras",
    "decision_for",
    "load_config",
    "parse_config",
    "rules_for",
]
