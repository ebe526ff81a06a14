"""What a clip costs on this machine: parameters, multiplications, and time, optical flow included."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vedette_edge.clips import ClipStream
from vedette_edge.flow import clip_flow
from vedette_edge.manifest import InputSpec
from vedette_edge.types import Image
from vedette_edge.video import read_frames
from vedette_train.recipe import Recipe
from vedette_train.runs import build_network

__all__ = ["Cost", "count_gmacs", "in_turns", "machine", "measure_costs", "parameter_count"]

Key = TypeVar("Key")

_WARM_UP, _ROUNDS = 2, 10
_MILLI = 1000.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one clip.

    Attributes:
        parameters: of the network.
        gmacs: multiply-accumulates of its convolutions and matrix products, in 10^9.
        network_ms: median time of one clip through it in PyTorch.
        flow_ms: median time of the optical flow of all frames of a clip; 0 where none is needed. A device
            computes the flow of each frame once, so that overlapping clips share it.
    """

    parameters: int
    gmacs: float
    network_ms: float
    flow_ms: float

    @property
    def total_ms(self) -> float:
        """Network and flow together."""
        return self.network_ms + self.flow_ms


def machine() -> str:
    """Return what the times were measured on."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, PyTorch with {torch.get_num_threads()} threads, CPU"
    )


def measure_costs(recipes: Mapping[str, Recipe], classes: int, video: Path) -> dict[str, Cost]:
    """Measure the networks of some recipes in turns, so that whatever else the machine does meets all.

    Args:
        recipes: by name.
        classes: of their networks.
        video: a real one, for the flow, whose cost depends on what moves.

    Raises:
        ConfigError: when a network cannot be built.
        VideoError: when the video cannot be read.
    """
    networks = {name: build_network(recipe, classes).eval() for name, recipe in recipes.items()}
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    for name, recipe in recipes.items():
        spec = recipe.data.input
        clip = torch.zeros(1, spec.channels, spec.frames, spec.height, spec.width)
        calls[name, "network"] = partial(networks[name], clip)
        if spec.flow and recipe.data.blind != "flow":
            frames = _first_clip(video, spec)
            calls[name, "flow"] = partial(clip_flow, frames, spec.flow, spec.color)
    times = in_turns(calls)
    return {
        name: Cost(
            parameter_count(networks[name]),
            count_gmacs(calls[name, "network"]),
            times[name, "network"],
            times.get((name, "flow"), 0.0),
        )
        for name in recipes
    }


def _first_clip(video: Path, spec: InputSpec) -> list[Image]:
    stream = ClipStream(spec.model_copy(update={"streams": "rgb", "flow": None}), spec.frames)
    for frame in read_frames(video, spec.fps):
        if clips := stream.push(frame)[0]:
            return [item.fitted for item in clips[0].items]
    return [item.fitted for item in stream.finish()[0].items]


def in_turns(calls: Mapping[Key, Callable[[], object]], rounds: int = _ROUNDS) -> dict[Key, float]:
    """Return the median time of each call, milliseconds; whatever else the machine does meets all."""
    times: dict[Key, list[float]] = {key: [] for key in calls}
    with torch.inference_mode():
        for turn in range(_WARM_UP + rounds):
            for key, call in calls.items():
                start = time.perf_counter()
                call()
                if turn >= _WARM_UP:
                    times[key].append(_MILLI * (time.perf_counter() - start))
    return {key: median(values) for key, values in times.items()}


def parameter_count(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_gmacs(call: Callable[[], object]) -> float:
    """Return the multiply-accumulates of a call of a network, in 10^9, as PyTorch counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 2e9
