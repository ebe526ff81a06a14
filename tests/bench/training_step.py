"""Training steps on the CPU: convolutions as 2D ones against PyTorch's 3D convolution."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator

import torch
from paired import Ratio, compare

from vedette_train.memory import keep_freed_memory
from vedette_train.models import create_model
from vedette_train.models.layers import DepthwiseConv3d, PaddedConv3d
from vedette_train.models.separable import SpatialConv3d, TemporalConv3d

CLIP = (4, 3, 16, 128, 128)
DUAL_CLIP = (4, 5, 16, 112, 112)


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    calls = ["taps_against_3d(False)", "taps_against_3d(True)"]
    calls += [f"folded_against_3d('{name}')" for name in ("ds3d_fgattnet", "ds3d_baseline")]
    for call in calls:
        code = f"import training_step; print(training_step.{call})"
        command = [sys.executable, "-c", code]
        # Memory settings hold for a process, so each case gets its own.
        yield subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def taps_against_3d(keep: bool) -> Ratio:
    """Compare one step in both forms; `keep`: tell glibc to keep freed memory."""
    if keep:
        keep_freed_memory()
    network = create_model("mobilenet_v2_3d", num_classes=17).train()
    clips = torch.randn(*CLIP)
    taps = DepthwiseConv3d.forward

    def step(forward: object) -> None:
        DepthwiseConv3d.forward = forward  # type: ignore[method-assign, assignment]
        network.zero_grad()
        network(clips).square().mean().backward()

    name = f"training step {CLIP}, taps against conv3d" + (", memory kept" if keep else "")
    return compare(
        name, functools.partial(step, taps), functools.partial(step, PaddedConv3d.forward), pairs=3
    )


def folded_against_3d(model: str) -> Ratio:
    """Compare one step of a dual-stream network in both forms, memory kept."""
    keep_freed_memory()
    network = create_model(model, num_classes=2).train()
    clips = torch.randn(*DUAL_CLIP)
    folded, plain = (SpatialConv3d.forward, TemporalConv3d.forward), (torch.nn.Conv3d.forward,) * 2

    def step(forwards: tuple[object, object]) -> None:
        SpatialConv3d.forward, TemporalConv3d.forward = forwards  # type: ignore[method-assign, assignment]
        network.zero_grad()
        network(clips).square().mean().backward()

    name = f"training step of {model} {DUAL_CLIP}, folded against conv3d"
    return compare(name, functools.partial(step, folded), functools.partial(step, plain), pairs=3)
