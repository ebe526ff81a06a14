"""LiteRT: a lowered graph as one .tflite file, in fp32, fp16 or int8.

The graph is traced here and written by `targets.litert` in a process of its own: LiteRT's converter brings
JAX, whose threads no later fork of this process would survive. The process is kept until `release`, because
it takes seconds to start.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import torch

from vedette_converters.child import Child
from vedette_converters.graph import Feed, Graph, next_name
from vedette_converters.quiet import quiet
from vedette_converters.targets import Model
from vedette_converters.targets.litert_request import CHANNELS_LAST, Request, Traced
from vedette_edge.errors import BundleError
from vedette_edge.manifest import Precision, StateTensor

__all__ = ["build", "release"]

_PICTURE = 4  # axes
_write = Child("vedette_converters.targets.litert:write")

for _name in ("litert_torch", "ai_edge_quantizer"):
    if find_spec(_name) is None:
        raise ModuleNotFoundError(f"No module named {_name!r}", name=_name)


def build(graph: Graph, precision: Precision, feeds: Sequence[Feed], keep_float: Collection[str]) -> Model:
    """Write a graph for LiteRT; see `Target.build`.

    fp16 stores the weights in halves; how it computes is the runtime's choice. int8 gives all frames of a
    layer one range, as the 3D layer would have: the unrolled frames share their biases, and none has to be
    scaled again to meet another.
    """
    traced = _traced(graph)
    turned = tuple(
        {name: np.moveaxis(x, 1, -1) if name in traced.carried else x for name, x in feed.items()}
        for feed in feeds
    )
    request = Request(precision, turned, tuple(keep_float), torch.get_num_threads())
    try:
        model: bytes = _write(traced, request)
    except ChildProcessError as error:
        raise BundleError(
            f"LiteRT's converter fails on this network ({error}); choose another precision or runtime"
        ) from error
    return Model(((".tflite", model),), state=_state(graph))


def release() -> None:
    """End the process that writes; the next build starts another."""
    _write.end()


@lru_cache(maxsize=1)  # the precisions of one graph, and the tries of int8, follow each other
def _traced(graph: Graph) -> Traced:
    examples = {name: example[:1] for name, example in graph.examples.items()}
    with quiet():
        try:
            program = torch.export.export(graph.module, tuple(examples.values()))
        except Exception as error:  # torch.export raises classes of its own that share no public base
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise BundleError(f"this network cannot be traced for LiteRT: {line}") from error
        file = io.BytesIO()
        torch.export.save(program, file)
    inputs = tuple((name, tuple(example.shape)) for name, example in examples.items())
    return Traced(file.getvalue(), inputs, tuple(graph.outputs), _carried_pictures(graph))


def _carried_pictures(graph: Graph) -> frozenset[str]:
    """Return the names of the state tensors (1, C, H, W), as inputs and as outputs.

    LiteRT computes with channels last: state with channels first would be turned several times a layer.
    """
    names = [tensor.name for tensor in graph.state if len(tensor.shape) == _PICTURE]
    return frozenset({*names, *map(next_name, names)})


def _state(graph: Graph) -> tuple[StateTensor, ...]:
    """Return the state as the file has it."""
    carried = _carried_pictures(graph)
    return tuple(
        tensor.model_copy(update={"shape": tuple(tensor.shape[axis] for axis in CHANNELS_LAST)})
        if tensor.name in carried
        else tensor
        for tensor in graph.state
    )
