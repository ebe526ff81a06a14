"""Separable 3D convolutions that run as 2D ones on CPUs. Tensors are (N, C, T, H, W)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SeparableConv3d", "SpatialConv3d", "TemporalConv3d"]


class SpatialConv3d(nn.Conv3d):
    """A 1x3x3 convolution without bias.

    On CPUs it runs as a 2D convolution of the frames in channels-last order, where folding time into the
    batch copies nothing. Parameters, results and the exported graph are those of the 3D convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Keep T, H and W."""
        super().__init__(in_channels, out_channels, (1, 3, 3), padding=(0, 1, 1), bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Conv3d's
        """Map (N, C, T, H, W) to (N, C', T, H, W)."""
        return self.by_frames(input) if _folds(self, input) else super().forward(input)

    def by_frames(self, input: Tensor) -> Tensor:  # noqa: A002
        """Compute the same as `forward`, frame by frame."""
        n, c, t, h, w = input.shape
        frames = input.permute(0, 2, 3, 4, 1).reshape(n * t, h, w, c).permute(0, 3, 1, 2)
        filtered = F.conv2d(frames, self.weight.squeeze(2), padding=1)
        return filtered.permute(0, 2, 3, 1).reshape(n, t, h, w, -1).permute(0, 4, 1, 2, 3)


class TemporalConv3d(nn.Conv3d):
    """A 3x1x1 convolution without bias.

    On CPUs it runs as a 3x1 convolution of pictures T high and H * W wide, in channels-last order.
    """

    def __init__(self, channels: int) -> None:
        """Keep T, H and W."""
        super().__init__(channels, channels, (3, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Conv3d's
        """Map (N, C, T, H, W) to (N, C', T, H, W)."""
        return self.by_rows(input) if _folds(self, input) else super().forward(input)

    def by_rows(self, input: Tensor) -> Tensor:  # noqa: A002
        """Compute the same as `forward`, with each frame as one row."""
        n, c, t, h, w = input.shape
        rows = input.permute(0, 2, 3, 4, 1).reshape(n, t, h * w, c).permute(0, 3, 1, 2)
        filtered = F.conv2d(rows, self.weight.squeeze(4), padding=(1, 0))
        return filtered.permute(0, 2, 3, 1).reshape(n, t, h, w, -1).permute(0, 4, 1, 2, 3)


class SeparableConv3d(nn.Module):
    """A 3D convolution in two: 1x3x3, ReLU, 3x1x1, batch normalisation, activation.

    It has 9 i o + 3 o^2 + 2 o parameters for i channels in and o out. The factorisation is that of R(2+1)D
    [Tran et al., 2018, arXiv 1711.11248]; it is not depthwise.
    """

    def __init__(
        self, in_channels: int, out_channels: int, activation: Literal["relu", "sigmoid"] = "relu"
    ) -> None:
        """Keep T, H and W; `activation` comes last, the one between is always ReLU."""
        super().__init__()
        self.spatial = SpatialConv3d(in_channels, out_channels)
        self.temporal = TemporalConv3d(out_channels)
        self.bn = nn.BatchNorm3d(out_channels)
        self.activation = nn.ReLU() if activation == "relu" else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, C', T, H, W)."""
        return self.both(x)[1]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the ReLU between gives and what comes out, both (N, C', T, H, W)."""
        between = F.relu(self.spatial(x))
        out: Tensor = self.activation(self.bn(self.temporal(between)))
        return between, out


def _folds(layer: nn.Module, x: Tensor) -> bool:
    """Tell whether nobody reads the graph.

    Exporters do, and tools that trace an evaluation through its gradients, such as those for pruning: they
    shall find the 3D convolution.
    """
    read = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]
    return x.device.type == "cpu" and not read and (layer.training or not torch.is_grad_enabled())
