"""A training step of MobileNetV2-3D on the CPU: depthwise as 2D taps against the 3D convolution."""

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

CLIP = (4, 3, 16, 128, 128)


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    for keep in (False, True):
        code = f"import training_step; print(training_step.taps_against_3d({keep}))"
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
