"""Turns pydantic's errors into sentences for operators: dotted path, what was found, the nearest key."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

__all__ = ["describe_errors"]


def describe_errors(error: ValidationError, model: type[BaseModel]) -> str:
    """Return all errors on one line, separated by semicolons.

    Unknown keys come with the nearest known key of the section they stand in.

    >>> class Settings(BaseModel, extra="forbid"):
    ...     host: str
    >>> try:
    ...     Settings.model_validate({"hots": "a"})
    ... except ValidationError as error:
    ...     describe_errors(error, Settings)
    "host: missing; hots: unknown key, did you mean 'host'?"
    """
    return "; ".join(_sentence(dict(item), model) for item in error.errors())


def _sentence(item: dict[str, Any], model: type[BaseModel]) -> str:
    location: tuple[int | str, ...] = item["loc"]
    path = ".".join(str(part) for part in location) or "the file"
    if item["type"] == "missing":
        return f"{path}: missing"
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"{path}: unknown key, {hint}"
    found = "" if isinstance(item["input"], dict | list) else f" (found {item['input']!r})"
    return f"{path}: {item['msg'].removeprefix('Value error, ')}{found}"


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section that `path` leads to, through lists, unions and nested models."""
    models = [model]
    for part in path:
        nested = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        # An index of a list or the tag of a union names no field: it stays within the same models.
        if nested:
            models = [found for annotation in nested for found in _models_in(annotation)]
    return sorted({name for found in models for name in found.model_fields})


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) is not None or isinstance(annotation, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _models_in(argument)
