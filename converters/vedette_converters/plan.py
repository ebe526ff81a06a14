"""Which variants a bundle shall have: runtimes x precisions x modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeVar, get_args

from vedette_edge.errors import UsageError
from vedette_edge.manifest import Bounds, Precision, Runtime, TemporalMode

__all__ = ["BOUNDS", "Plan", "Wish", "choices", "installed_runtimes"]

Choice = TypeVar("Choice", Runtime, Precision, TemporalMode)

# What a variant that is not exact must keep by default.
BOUNDS = Bounds(max_drop=0.01, min_label_agreement=0.95, max_score=0.05, min_heatmap=0.9)

# The modules without which nothing can be written for a runtime.
_NEEDED: dict[Runtime, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("openvino", "nncf"),
    "tflite": ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One variant."""

    runtime: Runtime
    precision: Precision
    mode: TemporalMode

    @property
    def name(self) -> str:
        """Its name in the bundle."""
        return f"{self.runtime}-{self.precision}-{self.mode}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The variants to write, the cross product of three lists.

    Attributes:
        runtimes: what the models are written for.
        precisions: in which they compute.
        modes: clip or stream; None: both where the network is causal, else clip.
    """

    runtimes: Sequence[Runtime] = ("onnx",)
    precisions: Sequence[Precision] = ("fp32",)
    modes: Sequence[TemporalMode] | None = None

    def wishes(self, *, causal: bool) -> Iterator[Wish]:
        """Yield every variant; those of a mode and runtime one after the other."""
        possible: Sequence[TemporalMode] = ("clip", "stream") if causal else ("clip",)
        for mode in possible if self.modes is None else self.modes:
            for runtime in self.runtimes:
                for precision in self.precisions:
                    yield Wish(runtime, precision, mode)


def installed_runtimes() -> list[Runtime]:
    """Return the runtimes that models can be written for with what is installed."""
    return [runtime for runtime, modules in _NEEDED.items() if all(map(find_spec, modules))]


def choices(text: str, option: str, kind: object) -> list[Choice]:
    """Read a list that is separated by commas.

    Args:
        text: such as "onnx,tflite".
        option: its name, for messages.
        kind: the `Literal` of what may be named.

    Raises:
        UsageError: when a name is unknown, or there is none.
    """
    known = get_args(kind)
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [part for part in found if part not in known]
    if unknown or not found:
        raise UsageError(
            f"{option}: got {', '.join(unknown) or 'nothing'}, expected some of: {', '.join(known)}"
        )
    return found
