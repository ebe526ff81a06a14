"""The record of what was removed: for each layer, which of its channels were kept.

It is enough to build the slim network again from the recipe, and says of each channel which one of the dense
network it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_edge.validation import describe_errors

__all__ = ["SLIMMING_FILE", "KeptChannels", "KeptLayer", "Slimming", "composed", "read_slimming"]

SLIMMING_FILE = "slimming.json"


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KeptChannels(_Value):
    """Which channels of `of` were kept, ascending, counted from 0."""

    of: int = Field(ge=1)
    kept: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _are_channels(self) -> KeptChannels:
        if list(self.kept) != sorted(set(self.kept)) or self.kept[0] < 0 or self.kept[-1] >= self.of:
            raise ValueError(f"expected ascending channels of 0..{self.of - 1}, each once")
        return self


class KeptLayer(_Value):
    """What was kept of a layer; None on a side that lost nothing. Where both are one, `outputs` says it."""

    inputs: KeptChannels | None = None
    outputs: KeptChannels | None = None


class Slimming(_Value):
    """What `slimming.json` holds."""

    schema_version: Literal[1] = 1
    layers: dict[str, KeptLayer]

    def write(self, directory: Path) -> None:
        """Write the record into a run's folder."""
        write_atomically(directory / SLIMMING_FILE, (self.model_dump_json() + "\n").encode())


def read_slimming(directory: Path) -> Slimming | None:
    """Read a run's record; None where nothing was removed.

    Raises:
        DataError: when it is damaged.
    """
    path = directory / SLIMMING_FILE
    if not path.is_file():
        return None
    try:
        return Slimming.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path}: {describe_errors(error, Slimming)}") from error


def composed(first: Slimming, then: Slimming) -> Slimming:
    """Return both removals as one; `then` counts the channels that `first` left."""
    layers = dict(first.layers)
    for name, layer in then.layers.items():
        before = layers.get(name, KeptLayer())
        layers[name] = KeptLayer(
            inputs=_after(before.inputs, layer.inputs), outputs=_after(before.outputs, layer.outputs)
        )
    return Slimming(layers=layers)


def _after(first: KeptChannels | None, then: KeptChannels | None) -> KeptChannels | None:
    if first is None or then is None:
        return then or first
    return KeptChannels(of=first.of, kept=tuple(first.kept[channel] for channel in then.kept))


def layers_of(kept: Mapping[tuple[str, str], KeptChannels]) -> dict[str, KeptLayer]:
    """Return layers from what was kept of each (layer, side)."""
    names = dict.fromkeys(name for name, _ in kept)
    return {
        name: KeptLayer(inputs=kept.get((name, "inputs")), outputs=kept.get((name, "outputs")))
        for name in names
    }
