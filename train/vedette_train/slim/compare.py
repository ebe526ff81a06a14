"""What a network costs and is worth before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from vedette_train.costs import count_gmacs, in_turns, parameter_count

__all__ = ["Figures", "Row", "measure", "rows"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one network.

    Attributes:
        parameters: what it learns.
        gmacs: multiply-accumulates of an input, in 10^9.
        milliseconds: median time of an input in PyTorch on the CPU.
    """

    parameters: int
    gmacs: float
    milliseconds: float


Row = tuple[str, str, str, str]

_ROUNDS = 30


def measure(networks: Sequence[nn.Module], example: Tensor) -> list[Figures]:
    """Measure networks in turns, so that whatever else the machine does meets all.

    Args:
        networks: in evaluation mode, on the CPU.
        example: an input of one.
    """
    calls = {place: partial(network, example) for place, network in enumerate(networks)}
    times = in_turns(calls, _ROUNDS)
    return [
        Figures(parameter_count(network), count_gmacs(calls[place]), times[place])
        for place, network in enumerate(networks)
    ]


def rows(before: Figures, after: Figures, metrics: Sequence[tuple[str, Any, Any]] = ()) -> list[Row]:
    """Return a table for a reader: what, before, after, and which share is left.

    Args:
        before: of the dense network.
        after: of the slim one.
        metrics: name and both figures with interval, as metrics.json has them.
    """
    table = [
        _row("parameters", before.parameters, after.parameters, "{:,}"),
        _row("GMAC", before.gmacs, after.gmacs, "{:.4g}"),
        _row("CPU ms, p50", before.milliseconds, after.milliseconds, "{:.2f}"),
    ]
    return table + [(name, _interval(one), _interval(other), "") for name, one, other in metrics]


def _row(name: str, before: float, after: float, form: str) -> Row:
    return name, form.format(before), form.format(after), f"{after / before:.0%}"


def _interval(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "-"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
