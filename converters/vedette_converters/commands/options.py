"""Options that several commands share: which variants are meant."""

from __future__ import annotations

from typing import Annotated

import typer

from vedette_converters.plan import Plan, choices, installed_runtimes
from vedette_edge.manifest import Precision, Runtime, TemporalMode

__all__ = ["AUTO", "INSTALLED", "ModesOption", "PrecisionsOption", "RuntimesOption", "read_plan"]

INSTALLED, AUTO = "installed", "auto"

RuntimesOption = Annotated[str, typer.Option(help="Some of onnx, openvino, tflite, or 'installed'.")]
PrecisionsOption = Annotated[str, typer.Option(help="Some of fp32, fp16, int8.")]
ModesOption = Annotated[
    str, typer.Option(help="clip, stream, or both; 'auto': stream where the network is causal.")
]


def read_plan(runtimes: str, precisions: str, modes: str) -> Plan:
    """Return the plan that three options ask for.

    Raises:
        UsageError: when one of them names something unknown, or nothing.
    """
    return Plan(
        runtimes=installed_runtimes() if runtimes == INSTALLED else choices(runtimes, "--runtimes", Runtime),
        precisions=choices(precisions, "--precisions", Precision),
        modes=None if modes == AUTO else choices(modes, "--modes", TemporalMode),
    )
