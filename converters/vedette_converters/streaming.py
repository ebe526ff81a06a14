"""Causal networks frame by frame, with the weights of the clip network and its outputs.

A causal layer of three taps in time needs, for a frame, the two frames before it. It carries what they add
to the frames to come as two partial sums, `first` for the next frame and `second` for the one after it:

    y = first + w2 * x        next first = second + w1 * x        next second = w0 * x

so each frame is convolved once. The head carries the last T - 1 frames' part of the clip's score. All state
begins as zeros, which is the padding before a clip's first frame: each frame of a stream gets what the clip
network gives for the clip that ends with it and has all frames since the stream began before it.

The idea is that of MoViNet's stream buffers [Kondratyuk et al., 2021, arXiv 2103.11511, section 3.2]; partial
sums in place of kept frames need less memory behind strides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from vedette_converters.graph import FRAME_INPUT, Graph
from vedette_converters.lowering import Constants, Frames, Lowering, exported
from vedette_edge.errors import BundleError
from vedette_edge.manifest import InputSpec, StateTensor
from vedette_train.models import HeatmapModel
from vedette_train.models.class_maps import nearness
from vedette_train.models.mobilenet_v2_3d import SAME_FEATURE, MobileNetV2_3d

__all__ = ["stream_graph", "streams"]

_TAPS = 3


def streams(network: HeatmapModel) -> bool:
    """Tell whether a network can run frame by frame."""
    return isinstance(network, MobileNetV2_3d) and network.causal


def stream_graph(network: HeatmapModel, spec: InputSpec) -> Graph:
    """Return a causal network as a graph of one frame.

    Args:
        network: in evaluation mode, on the CPU.
        spec: its input; T is the length of the clips whose scores it gives.

    Raises:
        BundleError: when the network is not causal.
    """
    if not isinstance(network, MobileNetV2_3d) or not network.causal:
        raise BundleError(
            "this network sees a frame's future or has a fixed clip, so it cannot run frame by frame; train "
            "mobilenet_v2_3d with model.mode: causal"
        )
    frame = torch.zeros(1, spec.channels, 1, spec.height, spec.width)
    module = _Streamed(network, spec, frame)
    state = tuple(
        StateTensor(name=name, shape=tuple(value.shape), dtype="float32")
        for name, value in module.zeros.items()
    )
    return Graph(module.eval(), "stream", {FRAME_INPUT: frame, **module.zeros}, state, lowered=True)


class _StreamLowering(Lowering):
    """Runs a causal program on one frame; `state` comes in, `carried` goes out, both by name."""

    def __init__(self, *args: Any, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(*args)
        self._state = state
        self.carried: dict[str, Tensor] = {}

    def convolution(self, target: Any, x: Any, weight: Tensor, bias: Tensor | None = None, *rest: Any) -> Any:
        """Add the partial sums of the frames before, where the kernel has three taps."""
        if weight.shape[2] != _TAPS:
            return super().convolution(target, x, weight, bias, *rest)
        frame = Frames.of(x).items[-1]
        assert isinstance(frame, Tensor)
        settings = dict(
            zip(("stride", "padding", "dilation"), (tuple(pair[1:]) for pair in rest[:3]), strict=False)
        )
        groups = rest[3] if len(rest) > 3 else 1
        oldest, middle, newest = (
            F.conv2d(frame, self.tap(weight, index), bias if index == 2 else None, **settings, groups=groups)
            for index in range(_TAPS)
        )
        name = self.state_name()
        first, second = (self.incoming(f"{name}_{which}", oldest) for which in ("first", "second"))
        self.carried |= {f"{name}_first": second + middle, f"{name}_second": oldest}
        return Frames((first + newest,))

    def state_name(self) -> str:
        """Return the running layer's name, as the name of a tensor."""
        assert self.node is not None
        weight = self.node.args[1]
        assert isinstance(weight, fx.Node)
        return str(weight.target).removeprefix("network.").rpartition(".")[0].replace(".", "_")

    def incoming(self, name: str, like: Tensor) -> Tensor:
        """Return the state of that name."""
        return torch.zeros_like(like) if self._state is None else self._state[name]


class _Features(nn.Module):
    def __init__(self, network: MobileNetV2_3d) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Any:
        return self.network.features(clips)


class _Streamed(nn.Module):
    def __init__(self, network: MobileNetV2_3d, spec: InputSpec, frame: Tensor) -> None:
        super().__init__()
        self.constants = Constants()
        self.head = (
            _MaxHead(network, spec.frames)
            if network.time_pooling == "max"
            else _MeanHead(network, spec.frames)
        )
        # The program is that of a clip: time must be long enough for a kernel.
        clip = torch.zeros(1, spec.channels, _TAPS, spec.height, spec.width)
        program = exported(_Features(network), [clip])
        self._graph = program.graph
        with torch.no_grad():
            run = _StreamLowering(self._graph, self.constants, program)
            features = run.run(frame)
            self.zeros = {name: torch.zeros_like(value) for name, value in run.carried.items()}
            self.zeros |= self.head.zeros(features[:, :, 0])

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Map a frame (1, C, 1, H, W) and the state to logits, heatmap and the next state."""
        named = dict(zip(self.zeros, state, strict=True))
        run = _StreamLowering(self._graph, self.constants, state=named)
        features = run.run(frame)
        logits, heatmap, carried = self.head(features[:, :, 0], named)
        following = run.carried | carried
        return (logits, heatmap.unsqueeze(2), *(following[name] for name in self.zeros))


class _Head(nn.Module):
    """The clip's logits and the frame's map from the frame's features and a window of those before.

    The window is (1, C, T - 1), oldest first; `seen` (1, 1, T - 1) is 1 for its frames, 0 before the first.
    """

    def __init__(self, network: MobileNetV2_3d, frames: int) -> None:
        super().__init__()
        self.before = frames - 1
        self.constants = Constants()
        name = next(name for name, module in network.named_modules() if module is network.head)
        self._names = {part: f"network.{name}.{part}" for part in ("weight", "bias")}
        for part, full in self._names.items():
            self.constants.put(full, getattr(network.head, part))

    @property
    def weight(self) -> Tensor:
        """The linear layer's (K, C)."""
        return self.constants.get_buffer(self._names["weight"])

    @property
    def bias(self) -> Tensor:
        """The linear layer's (K,)."""
        return self.constants.get_buffer(self._names["bias"])

    def evidence(self, features: Tensor) -> Tensor:
        """Map features (1, C, H, W) to (1, K, H, W)."""
        return F.conv2d(features, self.weight[:, :, None, None])

    def window(self, name: str, now: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a value's last T frames (1, C, T), and what is carried on; `now` is (1, C)."""
        if not self.before:
            return now.unsqueeze(2), {}
        values = torch.cat([state[name], now.unsqueeze(2)], 2)
        return values, {name: values[:, :, 1:]}

    def zeros_like_window(self, channels: int) -> dict[str, Tensor]:
        """Return the state at the beginning."""
        if not self.before:
            return {}
        return {"window": torch.zeros(1, channels, self.before), "seen": torch.zeros(1, 1, self.before)}


class _MeanHead(_Head):
    """The mean of all frames' evidence."""

    def zeros(self, features: Tensor) -> dict[str, Tensor]:
        del features
        return self.zeros_like_window(len(self.weight))

    def forward(
        self, features: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Map features (1, C, H, W) to logits (1, K), map (1, K, H, W) and what is carried on."""
        heatmap = self.evidence(features)
        means, carried = self.window("window", heatmap.mean(dim=(2, 3)), state)
        seen, carried_seen = self.window("seen", torch.ones_like(heatmap[:, :1, 0, 0]), state)
        return means.sum(dim=2) / seen.sum(dim=2) + self.bias, heatmap, carried | carried_seen


class _MaxHead(_Head):
    """The largest frame of each channel; features are never negative, so the zeros at first do no harm."""

    def zeros(self, features: Tensor) -> dict[str, Tensor]:
        return self.zeros_like_window(features.shape[1])

    def forward(
        self, features: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Map features (1, C, H, W) to logits (1, K), map (1, K, H, W) and what is carried on.

        In the map, a channel counts as far as this frame is the largest.
        """
        values, carried = self.window("window", features.mean(dim=(2, 3)), state)
        seen, carried_seen = self.window("seen", torch.ones_like(features[:, :1, 0, 0]), state)
        largest = values.amax(dim=2)
        near = nearness(values, largest[:, :, None], SAME_FEATURE) * seen
        share = near[:, :, -1] * seen.sum(dim=2) / near.sum(dim=2)
        heatmap = self.evidence(features * share[:, :, None, None])
        return F.linear(largest, self.weight, self.bias), heatmap, carried | carried_seen
