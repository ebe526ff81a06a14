"""Reads weights from files that somebody else may have written: tensors by name, and no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vedette_edge.errors import DataError

__all__ = ["read_state_dict"]


def read_state_dict(path: Path, expected: str = "a state dict of tensors") -> dict[str, Tensor]:
    """Return the tensors of a file, on the CPU.

    Args:
        path: the file.
        expected: what the caller takes, for the message.

    Raises:
        DataError: when the file cannot be read, or is no state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises what its unpickler meets
        raise DataError(f"{path}: cannot read weights ({error})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: expected {expected}, found {type(state).__name__}")
    return dict(state)
