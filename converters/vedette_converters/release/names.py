"""Checks what people type before it becomes a part of a path, a role or a file."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from vedette_edge.errors import UsageError
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = ["checked", "identifier"]

M = TypeVar("M", bound=BaseModel)

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def identifier(text: str, what: str) -> str:
    """Return a name of a-z, 0-9 and hyphens, of at most 64 characters.

    Raises:
        UsageError: when it is none.
    """
    try:
        return _IDENTIFIER.validate_python(text)
    except ValidationError as error:
        raise UsageError(
            f"{what} '{text}': expected 1 to 64 of a-z, 0-9 and hyphens, such as gate-7"
        ) from error


def checked(kind: type[M], /, **values: Any) -> M:
    """Return a model of what people typed.

    Raises:
        UsageError: when something of it is not valid.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        raise UsageError(describe_errors(error, kind)) from error
