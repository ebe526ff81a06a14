"""Reads the configuration's file, and tells whether it fits the models."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vedette_edge.boards import detect, load_profiles, read_facts, with_defaults, with_pipelines
from vedette_edge.config.agent import AgentConfig, CameraConfig
from vedette_edge.config.models import AUTO
from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision, Manifest
from vedette_edge.validation import describe_errors

NO_BOARD = "none"

__all__ = ["alarm_labels", "check_cameras", "decision_for", "load_config"]


def load_config(path: Path) -> AgentConfig:
    """Read a configuration file.

    Raises:
        ConfigError: when it cannot be read, is not YAML, or holds a wrong, unknown, missing or duplicate
            key; the message names the file and everything that is wrong.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
        # Through JSON, pydantic's strict mode still turns text into paths and lists into tuples.
        document = json.dumps(_on_its_board(data, path), default=str)
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
    """Return the indices of a model's labels that raise events on a camera."""
    if camera.labels is None:
        return tuple(index for index, label in enumerate(manifest.labels) if label.alarm)
    return tuple(index for index, label in enumerate(manifest.labels) if label.name in camera.labels)


def _check_labels(camera: CameraConfig, manifests: Sequence[Manifest]) -> None:
    known = [label.name for manifest in manifests for label in manifest.labels]
    unknown = [name for name in camera.labels or () if name not in known]
    if unknown:
        names = ", ".join(f"'{manifest.name}'" for manifest in manifests)
        raise ConfigError(
            f"camera '{camera.id}', labels: the model {names} has no {', '.join(unknown)}; "
            f"it has: {', '.join(known)}"
        )


def check_cameras(config: AgentConfig, manifests: Mapping[str, Manifest]) -> None:
    """Tell whether the cameras' settings fit their models.

    Args:
        config: the configuration.
        manifests: of the models, by name.

    Raises:
        ConfigError: when some do not; all of them are named.
    """
    checks: list[Callable[[], object]] = []
    for camera in config.cameras:
        of_camera = [manifests[name] for name in config.models_of(camera)]
        checks += [partial(decision_for, camera, manifest.decision) for manifest in of_camera]
        checks.append(partial(_check_labels, camera, of_camera))
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(dict.fromkeys(problems)))


def _on_its_board(data: Any, path: Path) -> Any:
    """Return the document with what its board gives; what is not valid is told of later."""
    name = data.get("board", AUTO) if isinstance(data, dict) else NO_BOARD
    if name == NO_BOARD:
        return data
    profiles = load_profiles()
    if name == AUTO:
        profile = detect(read_facts(), profiles.values())
    elif isinstance(name, str) and name in profiles:
        profile = profiles[name]
    else:
        known = ", ".join([AUTO, NO_BOARD, *profiles])
        raise ConfigError(f"{path}: board: there is no '{name}'; there are: {known}")
    return with_pipelines(profile, with_defaults(profile, data)) if profile else data


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
