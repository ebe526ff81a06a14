"""What is exported: a module with the names and examples of its inputs and outputs.

Every exporter and every quantiser takes a `Graph`, so none of them knows a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vedette_edge.manifest import InputSpec, StateTensor, TemporalMode
from vedette_edge.runtimes.base import CLIP_INPUT, FRAME_INPUT, OUTPUTS, next_name
from vedette_train.export import WithHeatmap
from vedette_train.models import HeatmapModel

__all__ = ["CLIP_INPUT", "FRAME_INPUT", "OUTPUTS", "Feed", "Graph", "clip_graph", "lies_in", "next_name"]

# The inputs of one call, by name; what calibration is made of.
Feed: TypeAlias = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A module that takes the examples in their order and returns a tuple of the outputs.

    Attributes:
        module: in evaluation mode, on the CPU; its parameters keep the names they have in the network, below
            `network.`.
        mode: "clip": `clips` (N, C, T, H, W) to `logits`, `heatmap`. "stream": `frame` (1, C, 1, H, W) and
            the state to `logits`, `heatmap` and the next state, in the order of `state`.
        examples: inputs by name, in the order of the module's arguments; N is 1 or, where it is free, 2.
        state: the tensors that are carried from call to call; empty for clips.
        lowered: 3D operators are written as 2D ones.
    """

    module: nn.Module
    mode: TemporalMode
    examples: Mapping[str, Tensor]
    state: tuple[StateTensor, ...] = ()
    lowered: bool = False

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        return list(self.examples)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [*OUTPUTS, *(next_name(tensor.name) for tensor in self.state)]

    @property
    def any_batch(self) -> bool:
        """Whether N is free."""
        return self.mode == "clip" and len(next(iter(self.examples.values()))) > 1


def clip_graph(network: HeatmapModel, spec: InputSpec) -> Graph:
    """Return a network as it is, for any number of clips.

    Args:
        network: in evaluation mode, on the CPU.
        spec: its input.
    """
    # Two clips, because the exporters take an axis of length one for a constant.
    example = torch.zeros(2, spec.channels, spec.frames, spec.height, spec.width)
    return Graph(WithHeatmap(network).eval(), "clip", {CLIP_INPUT: example})


def lies_in(layer: str, other: str) -> bool:
    """Tell whether a layer is another one, or a part of it; named as in `network.named_modules()`."""
    return f"{layer}.".startswith(f"{other}.")
