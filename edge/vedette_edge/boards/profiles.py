"""Profiles of boards, from firmware-configs/boards: which board it is, and what is done there by default.

A profile's `defaults` lie under the user's configuration: what that says, counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.boards.facts import BoardFacts
from vedette_edge.errors import ConfigError
from vedette_edge.resources import resource
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = ["Match", "Profile", "detect", "load_profiles", "with_defaults"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Part):
    """By what a board is known; any of the three is enough, and a profile of none is never detected."""

    compatible: tuple[str, ...] = Field(default=(), description="Names in the device tree.")
    dmi: str | None = Field(default=None, description="Regular expression, in vendor, product and board.")
    architecture: tuple[str, ...] = Field(default=(), description="The last resort.")


class Profile(_Part):
    """What suits a board."""

    name: Identifier
    title: str
    match: Match
    runtimes: tuple[str, ...] = Field(description="Extras to install, the best for this board first.")
    defaults: dict[str, Any] = Field(default={}, description="Of the agent's configuration.")
    model_defaults: dict[str, Any] = Field(default={}, description="Of each of its models.")
    pipelines: dict[str, str] = Field(
        default={},
        description="GStreamer sources by name, with {sensor}, {width}, {height} and {fps}; they end in BGR.",
    )
    unit: tuple[str, ...] = Field(
        default=(), description="Lines for [Service] in a drop-in: devices, groups, limits, with reasons."
    )
    updater: tuple[str, ...] = Field(
        default=(), description="The same for the updater, which runs models, but has no cameras."
    )
    udev: str | None = Field(default=None, description="File of rules in firmware-configs/udev.")
    notes: tuple[str, ...] = Field(default=(), description="What its owner should know.")


def load_profiles(directory: Path | None = None) -> dict[str, Profile]:
    """Return all profiles by name.

    Raises:
        ConfigError: when one is not valid; the message names the file.
    """
    found = {}
    for path in sorted((directory or resource("firmware-configs", "boards")).glob("*.yaml")):
        try:
            profile = Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe_errors(error, Profile)}") from error
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot read this profile: {error}") from error
        found[profile.name] = profile
    return found


def detect(facts: BoardFacts, profiles: Iterable[Profile]) -> Profile | None:
    """Return the profile of a machine: by device tree, else by DMI, else by architecture, else none."""
    known = list(profiles)
    # The device tree goes from the special to the general: a Pi 4 comes before all with its chip.
    for name in facts.compatible:
        for profile in known:
            if name in profile.match.compatible:
                return profile
    for profile in known:
        if profile.match.dmi and facts.dmi and re.search(profile.match.dmi, facts.dmi):
            return profile
    return next((one for one in known if facts.architecture in one.match.architecture), None)


def with_defaults(profile: Profile, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's document with the profile's defaults where it says nothing."""
    merged = _merged(profile.defaults, document)
    models = merged.get("models")
    if isinstance(models, Mapping):
        merged["models"] = {
            name: _merged(profile.model_defaults, model) if isinstance(model, Mapping) else model
            for name, model in models.items()
        }
    elif "bundle" in merged:
        merged = _merged(profile.model_defaults, merged)
    return merged


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below, value) if both else value  # type: ignore[arg-type]  # narrowed by `both`
    return result
