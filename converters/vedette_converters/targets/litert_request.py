"""What the process that writes LiteRT models is told: plain values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vedette_converters.graph import Feed
from vedette_edge.manifest import Precision

__all__ = ["CHANNELS_FIRST", "CHANNELS_LAST", "Order", "Request", "Traced"]

Order: TypeAlias = tuple[int, int, int, int]
CHANNELS_LAST: Order = (0, 2, 3, 1)  # of channels first, to have channels last
CHANNELS_FIRST: Order = (0, 3, 1, 2)  # and back


@dataclass(frozen=True, slots=True)
class Traced:
    """A graph that was traced.

    Attributes:
        program: what `torch.export.save` wrote.
        inputs: name and shape of each, in order.
        outputs: names of what it gives, in order.
        carried: the inputs and outputs (1, C, H, W) that are to have their channels last in the file.
    """

    program: bytes
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[str, ...]
    carried: frozenset[str]


@dataclass(frozen=True, slots=True)
class Request:
    """How a graph is to be written.

    Attributes:
        precision: of the file.
        feeds: inputs of calls as the file takes them, for int8.
        keep_float: layers that int8 leaves alone.
        threads: to calibrate with.
    """

    precision: Precision
    feeds: tuple[Feed, ...]
    keep_float: tuple[str, ...]
    threads: int
