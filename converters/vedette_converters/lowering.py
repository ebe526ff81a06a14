"""3D networks as graphs of 2D operators, exactly.

A clip becomes its frames: T tensors (N, C, H, W) in place of one (N, C, T, H, W). The convolution of an
output frame is then the sum of 2D convolutions of the frames that it sees, one for each tap of the kernel in
time; taps that fall on padding are left out. Every frame is a tensor of its own, and not a row of a batch: it
stays in the processor's cache, while slices and concatenations of whole clips cost more than convolving them.

No network is written twice: its exported program is interpreted, operator by operator, with a clip's frames
in the place of the clip. What has no 2D form here is left as it is, and the runtime decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from vedette_converters.folding import fold_batch_norm
from vedette_converters.graph import CLIP_INPUT, Graph
from vedette_edge.manifest import InputSpec
from vedette_train.export import WithHeatmap
from vedette_train.models import HeatmapModel

__all__ = ["Constants", "Frames", "Lowering", "exported", "lowered_graph"]

# Below this many numbers a kernel is stored once more for the frames at the ends; above it they see zeros.
_SMALL_KERNEL = 65_536
_LARGE_KERNEL, _SMALL_PICTURE = 16_384, 256
_CHANNEL, _TIME = 1, 2
# Axes of a clip, but for time, in a frame.
_IN_FRAME = {0: 0, 1: 1, 3: 2, 4: 3}


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A clip (N, C, T, H, W) as T frames (N, C, H, W); None is a frame of zeros that padding has added."""

    items: tuple[Tensor | None, ...]
    # The clip, but for frames of zeros, where it is one tensor anyway.
    whole: Tensor | None = None

    @classmethod
    def of(cls, value: Any) -> Frames:
        """Return a clip's frames."""
        return value if isinstance(value, Frames) else cls(tuple(value.unbind(_TIME)), value)

    @property
    def all(self) -> list[Tensor]:
        """Every frame as a tensor."""
        like = next(item for item in self.items if item is not None)
        return [torch.zeros_like(like) if item is None else item for item in self.items]

    def map(self, change: Callable[[Tensor], Tensor]) -> Frames:
        """Apply a function to each frame."""
        return Frames(tuple(change(item) for item in self.all))

    def clip(self) -> Tensor:
        """Return the clip."""
        return torch.stack(self.all, _TIME)


class Constants(nn.Module):
    """The weights of a graph, in a tree of modules with the names that they have in the network."""

    def put(self, name: str, value: Tensor) -> None:
        """Add a tensor under a dotted name."""
        *path, last = name.split(".")
        module: nn.Module = self
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        module.register_buffer(last, value.detach().clone(), persistent=True)

    def get(self, name: str) -> Tensor | None:
        """Return the tensor of that name."""
        try:
            return self.get_buffer(name)
        except AttributeError:
            return None


def exported(module: nn.Module, examples: Sequence[Tensor]) -> fx.GraphModule:
    """Return the program of a module as a graph of ATen operators, batch norm folded into convolutions."""
    program = torch.export.export(module.eval(), tuple(examples)).module()
    assert isinstance(program, fx.GraphModule)
    fold_batch_norm(program)
    return program


class Lowering(fx.Interpreter):
    """Runs a program with frames in place of clips.

    The first run takes the weights from the program and puts what it needs of them into `constants`; later
    ones, such as an exporter's, find everything there.
    """

    def __init__(self, program: fx.Graph, constants: Constants, source: nn.Module | None = None) -> None:
        """Interpret `program`; its weights are in `source` the first time, later in `constants`."""
        super().__init__(source or nn.Module(), graph=program)
        self.constants = constants
        self.learning = source is not None
        self.node: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        """Remember which node runs: it knows the names of its weights."""
        self.node = n
        return super().run_node(n)

    def fetch_attr(self, target: str) -> Any:
        """Return a weight; of a 3D kernel only its shape counts once its taps are constants."""
        assert self.node is not None
        if not all(
            user.target is _ATEN.conv3d.default and user.args[1] is self.node for user in self.node.users
        ):
            return self.constant(target, lambda: super(Lowering, self).fetch_attr(target))
        return super().fetch_attr(target) if self.learning else self.node.meta["val"]

    def constant(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Return the constant of that name, made the first time."""
        if self.constants.get(name) is None:
            self.constants.put(name, make())
        found = self.constants.get(name)
        assert found is not None
        return found

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Take a clip apart."""
        return Frames.of(super().placeholder(target, args, kwargs))

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Put the outputs together."""
        return tuple(_plain(value) for value in super().output(target, args, kwargs))

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Leave out checks of shapes, the only modules of an exported program."""

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator, in its 2D form where it has one."""
        packet = getattr(target, "overloadpacket", target)
        lowered = _OPERATORS.get(packet)
        if lowered is not None and (packet in _OF_CLIPS or _has_frames(args)):
            return lowered(self, target, *args, **kwargs)
        plain = fx.node.map_aggregate(tuple(args), _plain), fx.node.map_aggregate(kwargs, _plain)
        return super().call_function(target, *plain)

    def kernel(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Return a part of the running convolution's weight: a constant, unless the weight is computed."""
        assert self.node is not None
        weight = self.node.args[1]
        assert isinstance(weight, fx.Node)
        origin = _origin(weight)
        if origin is None:
            return make()
        own = name if weight.op == "get_attr" else f"{weight.name}_{name}"
        return self.constant(f"{origin.rpartition('.')[0]}.{own}", make)

    def convolution(
        self,
        _: Any,
        x: Any,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0, 0),
        dilation: Sequence[int] = (1, 1, 1),
        groups: int = 1,
    ) -> Any:
        """Lower `conv3d`."""
        if len(set(dilation)) != 1 or dilation[0] != 1:
            return F.conv3d(_plain(x), weight, bias, stride, padding, dilation, groups)
        clip, side = Frames.of(x), weight.shape[2]
        settings = {"stride": tuple(stride[1:]), "padding": tuple(padding[1:]), "groups": groups}
        if _is_large_on_small(weight, stride, clip):
            return self.at_once(weight, bias, clip)
        seen = list(windows(len(clip.items), side, stride[0], padding[0]))
        dense = groups == 1 and side > 1
        if dense and clip.whole is not None and weight.numel() <= _SMALL_KERNEL:
            return self.runs(weight, bias, clip, seen, settings)
        combine = self.together if dense else self.one_by_one
        taps = ([(tap, clip.items[place]) for tap, place in pairs] for pairs in seen)
        present = ([(tap, frame) for tap, frame in pairs if frame is not None] for pairs in taps)
        return Frames(tuple(combine(weight, bias, pairs, settings) for pairs in present))

    def tap(self, weight: Tensor, index: int) -> Tensor:
        """Return the 2D kernel that a 3D kernel has for a frame."""
        return self.kernel(f"tap{index}", lambda: weight[:, :, index])

    def one_by_one(
        self, weight: Tensor, bias: Tensor | None, taps: Sequence[tuple[int, Any]], settings: dict[str, Any]
    ) -> Tensor:
        """Return the sum of one 2D convolution for each tap."""
        parts = [
            F.conv2d(frame, self.tap(weight, index), None if number else bias, **settings)
            for number, (index, frame) in enumerate(taps)
        ]
        return reduce(torch.add, parts)

    def together(
        self, weight: Tensor, bias: Tensor | None, taps: Sequence[tuple[int, Any]], settings: dict[str, Any]
    ) -> Tensor:
        """Return one 2D convolution of the channels of all taps, whose sum is not rounded between them."""
        side = weight.shape[2]
        if weight.numel() > _SMALL_KERNEL:
            known = dict(taps)
            taps = [(tap, known.get(tap, torch.zeros_like(taps[0][1]))) for tap in range(side)]
        indices = [index for index, _ in taps]
        name = "taps" + "".join(map(str, indices))
        kernel = self.kernel(name, lambda: torch.cat([weight[:, :, index] for index in indices], 1))
        return F.conv2d(torch.cat([frame for _, frame in taps], 1), kernel, bias, **settings)

    def runs(
        self,
        weight: Tensor,
        bias: Tensor | None,
        clip: Frames,
        seen: Sequence[Sequence[tuple[int, int]]],
        settings: dict[str, Any],
    ) -> Frames:
        """Return what `together` returns, for frames that still lie one behind the other in one tensor.

        A run of them, channel by channel, is a view; and borders are added to all at once.
        """
        assert clip.whole is not None
        high, wide = settings["padding"]
        whole = F.pad(clip.whole, (wide, wide, high, high)) if high or wide else clip.whole
        first = next(place for place, item in enumerate(clip.items) if item is not None)
        outputs = []
        for pairs in seen:
            present = [(tap, place - first) for tap, place in pairs if clip.items[place] is not None]
            start, end = present[0][0], present[-1][0] + 1
            kernel = self.kernel(f"run{start}{end}", lambda a=start, b=end: weight[:, :, a:b].flatten(1, 2))  # type: ignore[misc]
            run = whole[:, :, present[0][1] : present[-1][1] + 1].flatten(1, 2)
            outputs.append(F.conv2d(run, kernel, bias, stride=settings["stride"]))
        return Frames(tuple(outputs))

    def at_once(self, weight: Tensor, bias: Tensor | None, clip: Frames) -> Frames:
        """Return a 1x1x1 convolution of all frames at once, as a batch."""
        frames = clip.all
        batch = F.conv2d(torch.cat(frames), self.tap(weight, 0), bias)
        return Frames(tuple(batch.chunk(len(frames))))

    def pad(self, target: Any, x: Frames, sides: Sequence[int], *rest: Any, **kwargs: Any) -> Any:
        """Lower `pad`, by zeros."""
        value = [*rest, *kwargs.values()]
        if len(sides) > 6 or any(value[1:]) or (value and value[0] not in ("constant", 0, 0.0)):
            return target(x.clip(), sides, *rest, **kwargs)
        *space, before, after = [*sides, *[0] * (6 - len(sides))]
        whole = x.whole if x.whole is None or not any(space) else F.pad(x.whole, space)
        items = (
            x.items if not any(space) else [item if item is None else F.pad(item, space) for item in x.items]
        )
        return Frames((*[None] * before, *items, *[None] * after), whole)


def _is_large_on_small(weight: Tensor, stride: Sequence[int], clip: Frames) -> bool:
    """Tell whether a kernel is better used once for all frames: runtimes keep a copy of it for each use."""
    picture = clip.all[0]
    return (
        len(clip.items) > 1
        and tuple(weight.shape[2:]) == tuple(stride) == (1, 1, 1)
        and weight.numel() >= _LARGE_KERNEL
        and picture.shape[2] * picture.shape[3] <= _SMALL_PICTURE
    )


def windows(length: int, side: int, stride: int, padding: int) -> Iterable[list[tuple[int, int]]]:
    """Yield, for each output frame, the (tap, frame) pairs that it sees.

    >>> list(windows(3, side=3, stride=2, padding=1))
    [[(1, 0), (2, 1)], [(0, 1), (1, 2)]]
    """
    for start in range(-padding, length + padding - side + 1, stride):
        yield [(tap, start + tap) for tap in range(side) if 0 <= start + tap < length]


def _origin(node: fx.Node) -> str | None:
    """Return the name of the weight that a value is made of, None if anything else is in it."""
    if node.op == "get_attr":
        return str(node.target)
    origins = [_origin(source) for source in node.all_input_nodes]
    return origins[0] if origins and None not in origins else None


def _max_pool(
    _: Lowering,
    target: Any,
    x: Any,
    side: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0, 0),
    *rest: Any,
) -> Any:
    side, stride, padding = (list(values) * (3 // len(values)) for values in (side, stride or side, padding))
    if padding[0] or rest:
        return target(_plain(x), side, stride, padding, *rest)
    frames = Frames.of(x).all
    largest = [
        reduce(torch.maximum, [frames[place] for _, place in seen])
        for seen in windows(len(frames), side[0], stride[0], 0)
    ]
    if side[1:] == stride[1:] == [1, 1]:
        return Frames(tuple(largest))
    return Frames(tuple(F.max_pool2d(item, side[1:], stride[1:], padding[1:]) for item in largest))


def _elementwise(_: Lowering, target: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operator on each frame; a clip of one frame stands for any number of them."""
    clips = [Frames.of(arg) if isinstance(arg, Tensor) and arg.ndim == 5 else arg for arg in args]
    if any(isinstance(arg, Tensor) and arg.ndim > 0 for arg in clips):
        return target(*[_plain(arg) for arg in args], **kwargs)
    length = max(len(arg.items) for arg in clips if isinstance(arg, Frames))
    rows = [
        arg.all * (length // len(arg.items)) if isinstance(arg, Frames) else [arg] * length for arg in clips
    ]
    return Frames(tuple(target(*row, **kwargs) for row in zip(*rows, strict=True)))


def _per_frame(_: Lowering, target: Any, x: Frames, *args: Any, **kwargs: Any) -> Any:
    return x.map(lambda item: target(item, *args, **kwargs))


def _same(_: Lowering, _target: Any, x: Any, *_args: Any, **_kwargs: Any) -> Any:
    return x


def _reduction(combine: Callable[[Sequence[Tensor]], Tensor]) -> Callable[..., Any]:
    def run(
        _: Lowering, target: Any, x: Frames, dims: int | Sequence[int], keepdim: bool = False, **kwargs: Any
    ) -> Any:
        axes = {dim % 5 for dim in ([dims] if isinstance(dims, int) else dims)}
        inner = [_IN_FRAME[axis] for axis in sorted(axes - {_TIME})]
        items = [target(item, inner, True, **kwargs) if inner else item for item in x.all]
        found = Frames((combine(items),) if _TIME in axes else tuple(items))
        return found if keepdim else found.clip().squeeze(tuple(axes))

    return run


def _mean(items: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, items) / len(items)


def _cat(_: Lowering, target: Any, values: Sequence[Any], dim: int = 0) -> Any:
    parts = [Frames.of(value) for value in values]
    if dim % 5 == _TIME:
        return Frames(tuple(item for part in parts for item in part.items))
    if dim % 5 != _CHANNEL:
        return target([part.clip() for part in parts], dim)
    rows = zip(*[part.all for part in parts], strict=True)
    return Frames(tuple(torch.cat(row, _CHANNEL) for row in rows))


def _slice(
    _: Lowering,
    target: Any,
    x: Frames,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Any:
    if dim % 5 == _TIME:
        return Frames(x.items[slice(start, end, step)])
    return x.map(lambda item: target(item, _IN_FRAME[dim % 5], start, end, step))


def _plain(value: Any) -> Any:
    return value.clip() if isinstance(value, Frames) else value


def _has_frames(args: Any) -> bool:
    found: list[Any] = []
    fx.node.map_aggregate(
        tuple(args), lambda value: found.append(value) if isinstance(value, Frames) else None
    )
    return bool(found)


_ATEN = torch.ops.aten
# These take clips only, so they make frames of what is none yet.
_OF_CLIPS = {_ATEN.conv3d, _ATEN.max_pool3d}
_OPERATORS: dict[Any, Callable[..., Any]] = {
    _ATEN.conv3d: lambda run, *args, **kwargs: run.convolution(*args, **kwargs),
    _ATEN.max_pool3d: _max_pool,
    _ATEN.pad: Lowering.pad,
    _ATEN.constant_pad_nd: Lowering.pad,
    _ATEN.cat: _cat,
    _ATEN.slice: _slice,
    _ATEN.mean: _reduction(_mean),
    _ATEN.sum: _reduction(lambda items: reduce(torch.add, items)),
    _ATEN.amax: _reduction(lambda items: reduce(torch.maximum, items)),
    _ATEN.batch_norm: _per_frame,
    **dict.fromkeys((_ATEN.dropout, _ATEN.clone, _ATEN.contiguous, _ATEN.detach, _ATEN.alias), _same),
    **dict.fromkeys(
        (
            *(
                _ATEN.relu,
                _ATEN.relu_,
                _ATEN.relu6,
                _ATEN.hardtanh,
                _ATEN.hardtanh_,
                _ATEN.sigmoid,
                _ATEN.clamp,
            ),
            *(_ATEN.add, _ATEN.add_, _ATEN.sub, _ATEN.rsub, _ATEN.mul, _ATEN.mul_, _ATEN.div, _ATEN.maximum),
        ),
        _elementwise,
    ),
}


class _Lowered(nn.Module):
    def __init__(self, program: fx.GraphModule, example: Tensor) -> None:
        super().__init__()
        self.constants = Constants()
        self._graph = program.graph
        with torch.no_grad():
            Lowering(self._graph, self.constants, program).run(example)

    def forward(self, clips: Tensor) -> Any:
        return Lowering(self._graph, self.constants).run(clips)


def lowered_graph(network: HeatmapModel, spec: InputSpec) -> Graph:
    """Return a network as a graph of 2D operators, for one clip at a time.

    Args:
        network: in evaluation mode, on the CPU.
        spec: its input.
    """
    example = torch.zeros(1, spec.channels, spec.frames, spec.height, spec.width)
    program = exported(WithHeatmap(network), [example])
    return Graph(_Lowered(program, example).eval(), "clip", {CLIP_INPUT: example}, lowered=True)
