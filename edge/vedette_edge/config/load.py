"""Reads the configuration's file, and lays it over the defaults of its board."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vedette_edge.boards import detect, load_profiles, read_facts, with_defaults, with_pipelines
from vedette_edge.config.agent import AgentConfig
from vedette_edge.config.models import AUTO
from vedette_edge.errors import ConfigError
from vedette_edge.validation import describe_errors

NO_BOARD = "none"

__all__ = ["load_config", "parse_config"]


def load_config(path: Path) -> AgentConfig:
    """Read a configuration file.

    Raises:
        ConfigError: when it cannot be read, is not YAML, or holds a wrong, unknown, missing or duplicate
            key; the message names the file and everything that is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this configuration ({error.strerror})") from error
    return parse_config(data, path)


def parse_config(data: bytes, path: Path) -> AgentConfig:
    """Read a configuration from the content of its file at `path`, which need not be there.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        values = yaml.load(data.decode(), _UniqueKeyLoader)
        # Through JSON, pydantic's strict mode still turns text into paths and lists into tuples.
        document = json.dumps(_on_its_board(values, path), default=str)
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
