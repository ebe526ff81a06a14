"""The agent's configuration: one YAML file, read once, frozen, strict.

Every wrong key is reported at once, with the nearest known one. Relative paths are relative to the file
they stand in. Unknown and duplicate keys are errors, so a mistyped setting never silently keeps its
default. `firmware-configs/edge-agent.example.yaml` documents every default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision, Manifest, Probability
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = [
    "AUTO",
    "AgentConfig",
    "CameraConfig",
    "DecisionOverride",
    "FileSourceConfig",
    "MqttConfig",
    "SnapshotConfig",
    "Threads",
    "TlsConfig",
    "alarm_labels",
    "check_cameras",
    "decision_for",
    "load_config",
]

AUTO = "auto"


def _from_config_directory(path: Path, info: ValidationInfo) -> Path:
    directory = (info.context or {}).get("directory")
    return path if directory is None else Path(directory) / path


LocalPath = Annotated[Path, AfterValidator(_from_config_directory)]


Threads = Annotated[int, Field(ge=0, le=256)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TlsConfig(_Section):
    """TLS to the broker; the broker's certificate is always checked."""

    ca_file: LocalPath = Field(description="Certificates that may sign the broker's, PEM.")
    cert_file: LocalPath | None = Field(default=None, description="This device's certificate, PEM.")
    key_file: LocalPath | None = Field(default=None, description="This device's private key, PEM.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> TlsConfig:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        return self


class MqttConfig(_Section):
    """Where the alerts go."""

    host: str = Field(default="localhost", min_length=1, description="Name or address of the broker.")
    port: int = Field(default=1883, ge=1, le=65535, description="1883 is customary, 8883 with TLS.")
    protocol: Literal["5", "3.1.1"] = Field(default="5", description="Version of MQTT, in quotes.")
    username: str | None = Field(default=None, min_length=1)
    password_file: LocalPath | None = Field(default=None, description="Its first line is the password.")
    tls: TlsConfig | None = Field(default=None, description="Without it, the connection is not encrypted.")
    keepalive: int = Field(
        default=30, ge=5, le=3600, description="Seconds; the broker reports us lost after 1.5 times this."
    )

    @model_validator(mode="after")
    def _password_has_its_user(self) -> MqttConfig:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        return self


class FileSourceConfig(_Section):
    """A video file in the place of a camera."""

    type: Literal["file"]
    path: LocalPath = Field(description="The video.")
    pace: Literal["realtime", "fast"] = Field(
        default="realtime",
        description="realtime: as a camera would, frames are dropped when the model is behind. "
        "fast: as fast as the model goes, every frame is kept.",
    )

    @property
    def lossless(self) -> bool:
        """Whether frames wait for the model, instead of being dropped."""
        return self.pace == "fast"


# With a second kind this becomes Annotated[FileSourceConfig | ..., Field(discriminator="type")].
SourceConfig: TypeAlias = FileSourceConfig


class DecisionOverride(_Section):
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


class CameraConfig(_Section):
    """One camera."""

    id: Identifier = Field(description="Part of its MQTT topics: a-z, 0-9 and hyphens.")
    source: SourceConfig
    decision: DecisionOverride = DecisionOverride()
    labels: tuple[str, ...] | None = Field(
        default=None, description="Labels that may alarm here; by default those that the bundle marks."
    )


class SnapshotConfig(_Section):
    """The pictures that go with events."""

    directory: LocalPath | None = Field(default=None, description="Also keep the pictures here.")
    quality: int = Field(default=85, ge=20, le=100, description="JPEG quality to begin with.")
    max_bytes: int = Field(
        default=122_880, ge=4096, le=1_000_000, description="Bound on a picture; some brokers refuse 128 kB."
    )
    alpha: float = Field(
        default=0.55, ge=0, le=1, description="Opacity of the heatmap where it is strongest."
    )


class AgentConfig(_Section):
    """Everything that `edge-agent run` needs to know."""

    site: Identifier = Field(description="Where this device stands; part of every topic.")
    node: Identifier = Field(description="This device; unique within its site.")
    bundle: LocalPath = Field(description="Directory that vedette-convert wrote.")
    variant: str = Field(
        default=AUTO,
        description="Variant of the bundle by name; or auto: the fastest that works here, as `edge-agent "
        "benchmark` measured, and unmeasured the first that works.",
    )
    threads: Threads = Field(default=0, description="Of one inference; 0: the runtime's choice.")
    state_dir: LocalPath = Field(
        default=Path("/var/lib/edge-agent"),
        description="Keeps undelivered messages and measurements.",
    )
    mqtt: MqttConfig = MqttConfig()
    cameras: tuple[CameraConfig, ...] = Field(min_length=1)
    snapshots: SnapshotConfig = SnapshotConfig()
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


def load_config(path: Path) -> AgentConfig:
    """Read a configuration file.

    Raises:
        ConfigError: when it cannot be read, is not YAML, or holds a wrong, unknown, missing or duplicate
            key; the message names the file and everything that is wrong.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
        # Through JSON, pydantic's strict mode still turns text into paths and lists into tuples.
        document = json.dumps(data, default=str)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this configuration ({error.strerror})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: not YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    try:
        return AgentConfig.model_validate_json(document, context={"directory": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(error, AgentConfig)}") from error


def decision_for(camera: CameraConfig, defaults: Decision) -> Decision:
    """Return the bundle's decision with a camera's overrides.

    Raises:
        ConfigError: when they contradict each other, such as an `off` above `on`.
    """
    merged = defaults.model_dump() | camera.decision.model_dump(exclude_none=True)
    try:
        return Decision.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"camera '{camera.id}', decision: {describe_errors(error, Decision)}") from error


def alarm_labels(camera: CameraConfig, manifest: Manifest) -> tuple[int, ...]:
    """Return the indices of the labels that raise events on a camera.

    Raises:
        ConfigError: when the configuration names a label that the model does not have.
    """
    if camera.labels is None:
        return tuple(index for index, label in enumerate(manifest.labels) if label.alarm)
    known = [label.name for label in manifest.labels]
    unknown = [name for name in camera.labels if name not in known]
    if unknown:
        raise ConfigError(
            f"camera '{camera.id}', labels: the model '{manifest.name}' has no {', '.join(unknown)}; "
            f"it has: {', '.join(known)}"
        )
    return tuple(index for index, name in enumerate(known) if name in camera.labels)


def check_cameras(config: AgentConfig, manifest: Manifest) -> None:
    """Tell whether the cameras' settings fit a model.

    Raises:
        ConfigError: when some do not; all of them are named.
    """
    checks: list[Callable[[], object]] = []
    for camera in config.cameras:
        checks += [partial(decision_for, camera, manifest.decision), partial(alarm_labels, camera, manifest)]
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML says that keys are unique; PyYAML takes the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key if isinstance(key, Hashable) else repr(key))
        return super().construct_mapping(node, deep)
