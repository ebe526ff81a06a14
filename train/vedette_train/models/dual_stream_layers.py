"""Blocks of the dual-stream networks: attention, and the ways to fuse picture and flow.

Tensors are (N, C, T, H, W).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

__all__ = ["FUSIONS", "Cbam3d", "FlowGatedFusion", "SqueezeExcite", "make_fusion"]

_REDUCTION = 16


class Cbam3d(nn.Module):
    """Channel attention, then spatial attention [Woo et al., 2018, arXiv 1807.06521], in 3D.

    The channel attention looks at the mean only, without the paper's second branch for the maximum; the
    spatial one at mean and maximum over the channels, in this order.
    """

    prunable = False

    def __init__(self, channels: int) -> None:
        """Weigh `channels` channels, at least 16."""
        super().__init__()
        self.channel = nn.Sequential(
            OrderedDict(
                squeeze=nn.Conv3d(channels, channels // _REDUCTION, 1),
                relu=nn.ReLU(inplace=True),
                excite=nn.Conv3d(channels // _REDUCTION, channels, 1),
            )
        )
        self.spatial = nn.Conv3d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to the same shape."""
        x = x * torch.sigmoid(self.channel(x.mean(dim=(2, 3, 4), keepdim=True)))
        return x * self.spatial_attention(x)

    def spatial_attention(self, x: Tensor) -> Tensor:
        """Return how much each place counts, (N, 1, T, H, W) in 0..1; `x` is weighed by channel already."""
        seen = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.spatial(seen))


class SqueezeExcite(nn.Module):
    """Weights for each channel from the mean of all [Hu et al., 2018, arXiv 1709.01507]."""

    def __init__(self, channels: int) -> None:
        """Weigh `channels` channels, at least 16."""
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // _REDUCTION)
        self.excite = nn.Linear(channels // _REDUCTION, channels)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden units before their ReLU, (N, C / 16), and the weights in 0..1, (N, C)."""
        hidden: Tensor = self.squeeze(x.mean(dim=(2, 3, 4)))
        return hidden, torch.sigmoid(self.excite(torch.relu(hidden)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to the same shape."""
        return x * self.gate(x)[1][:, :, None, None, None]


class FlowGatedFusion(nn.Module):
    """The picture's features, weighed by a sigmoid of the flow's, then the maximum of each 8 frames.

    After Cheng et al. [2021, arXiv 1911.05913]. Where the flow's features have passed a ReLU, the gate lies
    in [0.5, 1): it can favour, but never suppress below one half.
    """

    window = 8

    def __init__(self) -> None:
        """Pool windows of 8 frames."""
        super().__init__()
        self.pool = nn.MaxPool3d((self.window, 1, 1))

    def gate(self, flow: Tensor) -> Tensor:
        """Return the weights, (N, C, T, H, W)."""
        return torch.sigmoid(flow)

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Map two times (N, C, T, H, W) to (N, C, T / 8, H, W)."""
        pooled: Tensor = self.pool(rgb * self.gate(flow))
        return pooled


class _Product(nn.Module):
    """The product of both."""

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        return rgb * flow


class _Concatenation(nn.Module):
    """Both side by side, brought back to their width by a 1x1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv3d(2 * channels, channels, 1)

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        mixed: Tensor = self.mix(torch.cat([rgb, flow], dim=1))
        return mixed


class _LearnedGate(nn.Module):
    """(1 - g) * rgb + g * flow, with g from a 1x1x1 convolution of both."""

    prunable = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv3d(2 * channels, channels, 1)

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        gate = torch.sigmoid(self.mix(torch.cat([rgb, flow], dim=1)))
        return (1 - gate) * rgb + gate * flow


FUSIONS = ("multiply", "concat", "gated", "fgf")


def make_fusion(name: str, channels: int) -> nn.Module:
    """Build a fusion of two streams.

    Args:
        name: one of `FUSIONS`; only `fgf` shortens the time.
        channels: of each stream.

    Raises:
        ValueError: when the name is unknown.
    """
    if name not in FUSIONS:
        raise ValueError(f"unknown fusion '{name}', expected one of: {', '.join(FUSIONS)}")
    if name == "fgf":
        return FlowGatedFusion()
    if name == "multiply":
        return _Product()
    return _Concatenation(channels) if name == "concat" else _LearnedGate(channels)
