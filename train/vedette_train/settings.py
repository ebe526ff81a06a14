"""Settings as strict YAML, whatever they are for: read, overridden by `--set`, validated.

Unknown keys, wrong types and values out of range are errors that name the key and the nearest known one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from vedette_edge.errors import ConfigError, DataError
from vedette_edge.validation import describe_errors

__all__ = [
    "Section",
    "packaged_recipes",
    "read_settings",
    "read_yaml",
    "refuse_unknown_beginnings",
    "validate",
]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 1e-3 for a text, because it has no point; here it is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


class Section(BaseModel):
    """A part of a settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Settings = TypeVar("Settings", bound=BaseModel)


def packaged_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    folder = Path(str(files("vedette_train") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_settings(name_or_path: str, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], str]:
    """Read a recipe as it stands.

    Args:
        name_or_path: a YAML file, or the name of a packaged recipe.
        overrides: `dotted.key=value`, the value in YAML; later ones win.

    Returns:
        The mapping, and where it came from.

    Raises:
        ConfigError: when it cannot be found or is no mapping, or an override is malformed.
    """
    path = Path(name_or_path)
    packaged = packaged_recipes()
    if not path.is_file():
        if name_or_path not in packaged:
            near = get_close_matches(name_or_path, packaged, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigError(
                f"no recipe '{name_or_path}': {hint}It is neither a file nor one of: {', '.join(packaged)}"
            )
        path = packaged[name_or_path]
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(data).__name__}")
    for override in overrides:
        _apply(data, override)
    return data, str(path)


def read_yaml(path: Path) -> Any:
    """Read a YAML file that a run keeps.

    Raises:
        DataError: when it is missing or unreadable.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def validate(data: dict[str, Any], kind: type[Settings], source: str) -> Settings:
    """Return the settings as a `kind`.

    Raises:
        ConfigError: names `source` and every wrong key.
    """
    try:
        # By way of JSON, where a strict model takes a list for a tuple and a string for a path.
        return kind.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe_errors(error, kind)}") from error


def refuse_unknown_beginnings(names: Sequence[str], beginnings: Sequence[str], key: str) -> None:
    """Raise where no layer's name begins as a setting says.

    Args:
        names: dotted names of layers or parameters.
        beginnings: what the setting holds.
        key: the setting, for the message.

    Raises:
        ConfigError: names candidates.
    """
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in names):
            parts = sorted({".".join(name.split(".")[:depth]) for name in names if name for depth in (1, 2)})
            near = get_close_matches(beginning, parts, n=3) or parts[:8]
            raise ConfigError(f"{key}: no layer's name begins with '{beginning}'; try: {', '.join(near)}")


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, such as train.epochs=5")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML ({error})") from error
    *sections, last = key.split(".")
    place = data
    for section in sections:
        nested = place.setdefault(section, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"--set {override}: '{section}' is a value, not a section")
        place = nested
    place[last] = value
