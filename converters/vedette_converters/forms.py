"""The forms in which a network can be written, and what they compute."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from vedette_converters.graph import Graph, clip_graph
from vedette_converters.lowering import lowered_graph
from vedette_converters.streaming import stream_graph
from vedette_edge.manifest import InputSpec, Runtime, TemporalMode
from vedette_train.export import WithHeatmap
from vedette_train.models import HeatmapModel

__all__ = ["Forms", "macs"]

_ATEN = torch.ops.aten
_IN_3D = {_ATEN.conv3d.default, _ATEN.max_pool3d.default, _ATEN.avg_pool3d.default}


class Forms:
    """The graphs of a network, each made when it is first asked for."""

    def __init__(self, network: HeatmapModel, spec: InputSpec) -> None:
        """Write `network`, in evaluation mode on the CPU, for `spec`."""
        self._network = network
        self._spec = spec
        self._made: dict[str, Graph] = {}
        self._in_3d: bool | None = None

    def of(self, runtime: Runtime, mode: TemporalMode) -> list[Graph]:
        """Return the forms among which the fastest is to be found.

        LiteRT has no grouped 3D convolution; all others may be faster either way. A stream has one form.

        Raises:
            BundleError: when the network cannot run in this mode.
        """
        if mode == "stream":
            return [self._make("stream")]
        if not self.in_3d():
            return [self._make("clip")]
        return [self._make("lowered")] if runtime == "tflite" else [self._make("clip"), self._make("lowered")]

    def in_3d(self) -> bool:
        """Tell whether the network has 3D operators."""
        if self._in_3d is None:
            spec = self._spec
            example = torch.zeros(1, spec.channels, spec.frames, spec.height, spec.width)
            program = torch.export.export(WithHeatmap(self._network).eval(), (example,))
            self._in_3d = any(node.target in _IN_3D for node in program.graph.nodes)
        return self._in_3d

    def _make(self, form: str) -> Graph:
        make = {"clip": clip_graph, "lowered": lowered_graph, "stream": stream_graph}[form]
        if form not in self._made:
            self._made[form] = make(self._network, self._spec)
        return self._made[form]


def macs(graph: Graph) -> int:
    """Return the multiply-accumulates of a call, of one clip or frame."""
    examples = [example[:1] for example in graph.examples.values()]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        graph.module(*examples)
    return int(counter.get_total_flops() // 2)
