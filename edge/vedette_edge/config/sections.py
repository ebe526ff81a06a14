"""What every section of the configuration is: strict, frozen, and free of keys that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

__all__ = ["Fraction", "LocalPath", "Polygon", "Section", "Threads"]


def _from_config_directory(path: Path, info: ValidationInfo) -> Path:
    directory = (info.context or {}).get("directory")
    return path if directory is None else Path(directory) / path


LocalPath = Annotated[Path, AfterValidator(_from_config_directory)]
"""A path; relative ones are relative to the configuration's directory."""

Threads = Annotated[int, Field(ge=0, le=256)]
Fraction = Annotated[float, Field(ge=0, le=1)]

Polygon = Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=3, max_length=64)]
"""Corners (x, y) in fractions of the picture, y downwards."""


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
