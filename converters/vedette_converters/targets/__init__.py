"""The runtimes that models are written for, by name.

Adding one takes a module with a function `build` (see `Target`) and one line in `TARGETS`. A module that
keeps something running between builds also has a function `release()`, which ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from vedette_converters.graph import Feed, Graph
from vedette_edge.errors import MissingExtraError
from vedette_edge.manifest import Precision, Runtime, StateTensor

__all__ = ["TARGETS", "Model", "Target", "release", "target"]

TARGETS: dict[Runtime, str] = {
    "onnx": "vedette_converters.targets.onnx",
    "openvino": "vedette_converters.targets.openvino",
    "tflite": "vedette_converters.targets.tflite",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a runtime loads it.

    Attributes:
        files: suffix (".onnx") and content of each file, in the order in which the runtime takes them.
        opset: ONNX opset, where there is one.
        state: what it carries from call to call, where its axes are not those of the graph's state.
    """

    files: tuple[tuple[str, bytes], ...]
    opset: int | None = None
    state: tuple[StateTensor, ...] | None = None

    @property
    def contents(self) -> list[bytes]:
        """What `vedette_edge.runtimes.load` takes."""
        return [data for _, data in self.files]


class Target(Protocol):
    """What the module of a runtime has."""

    def build(
        self, graph: Graph, precision: Precision, feeds: Sequence[Feed], keep_float: Collection[str]
    ) -> Model:
        """Write a graph for the runtime.

        Args:
            graph: what to write.
            precision: fp32, fp16 (weights, and arithmetic where the runtime has it) or int8 (weights
                symmetric per output channel, activations per tensor, ranges from the feeds).
            feeds: inputs of calls on the training split, for int8; in stream mode with the state that the
                frames before left.
            keep_float: names of layers, as in `network.named_modules()`, that int8 leaves alone.

        Raises:
            BundleError: when the runtime cannot express the graph: names the operator, the layer that it came
                from, and what to do.
        """
        ...


def target(runtime: Runtime) -> Target:
    """Return the module that writes for a runtime.

    Raises:
        MissingExtraError: when its libraries are not installed.
    """
    try:
        return cast(Target, import_module(TARGETS[runtime]))
    except ModuleNotFoundError as error:
        extra = "convert" if runtime == "onnx" else f"convert-{runtime}"
        raise MissingExtraError(error.name or runtime, extra) from error


def release() -> None:
    """End what builds have left running for the next one, which starts it anew."""
    for name in TARGETS.values():
        if end := getattr(sys.modules.get(name), "release", None):
            end()
