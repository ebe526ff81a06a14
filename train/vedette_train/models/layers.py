"""Blocks of 3D networks. Tensors are (N, C, T, H, W)."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvBnRelu6", "DepthwiseConv3d", "InvertedResidual3d", "PaddedConv3d"]

Stride = tuple[int, int, int]


class PaddedConv3d(nn.Conv3d):
    """A convolution without bias whose padding keeps T, H and W at stride 1.

    In time the padding is symmetric, or wholly before the first frame when `causal`, so that no output
    sees a frame of its future. In space it is symmetric too, or as TensorFlow's SAME when `pad_at_end`: a
    stride of 2 on an even side pads only right and below. Weights trained with one lose much with the other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: Stride = (1, 1, 1),
        *,
        groups: int = 1,
        causal: bool = False,
        pad_at_end: bool = False,
    ) -> None:
        """Make a cubic kernel of side `kernel_size`, 1 or 3; `stride` is (T, H, W)."""
        pad = kernel_size // 2
        self.pads_itself = pad_at_end and kernel_size == 3 and stride[1:] == (2, 2)
        space = 0 if self.pads_itself else pad
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=(0 if causal else pad, space, space),
            groups=groups,
            bias=False,
        )
        self.causal = causal
        self.past = 2 * pad if causal else 0

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Conv3d's
        """Map (N, C, T, H, W) to (N, C', T', H', W')."""
        return super().forward(self.padded(input, self.past, 0))

    def padded(self, input: Tensor, before: int, after: int) -> Tensor:  # noqa: A002
        """Return (N, C, T, H, W) with frames of zeros, and the borders that the convolution does not add."""
        space = (0, 0, 0, 0)
        if self.pads_itself:
            space = (input.shape[-1] % 2, 1, input.shape[-2] % 2, 1)
        return F.pad(input, (*space, before, after)) if before or after or any(space) else input


class DepthwiseConv3d(PaddedConv3d):
    """A 3x3x3 convolution of each channel by itself.

    PyTorch's backward of grouped 3D convolutions is slow on CPUs, so training there runs the same
    function as the sum of three depthwise 2D convolutions, one for each tap in time. Parameters,
    results and the exported graph are those of the 3D convolution.
    """

    def __init__(
        self,
        channels: int,
        stride: Stride = (1, 1, 1),
        *,
        causal: bool = False,
        pad_at_end: bool = False,
    ) -> None:
        """Filter `channels` channels; `stride` is (T, H, W)."""
        super().__init__(channels, channels, 3, stride, groups=channels, causal=causal, pad_at_end=pad_at_end)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Conv3d's
        """Map (N, C, T, H, W) to (N, C, T', H', W')."""
        if self.training and torch.is_grad_enabled() and input.device.type == "cpu":
            return self.by_time_taps(input)
        return super().forward(input)

    def by_time_taps(self, input: Tensor) -> Tensor:  # noqa: A002
        """Compute the same as `forward`, as a sum of 2D convolutions over shifted frames."""
        n, c, t = input.shape[:3]
        stride_t, stride_h, stride_w = self.stride
        frames = self.padded(input, self.past or 1, 0 if self.past else 1).transpose(1, 2)
        h, w = frames.shape[-2:]
        t_out = (t - 1) // stride_t + 1
        total: Tensor | None = None
        for tap in range(3):
            shifted = frames[:, tap : tap + stride_t * (t_out - 1) + 1 : stride_t]
            filtered = F.conv2d(
                shifted.reshape(n * t_out, c, h, w),
                self.weight[:, :, tap],
                stride=(stride_h, stride_w),
                padding=self.padding[1:],
                groups=c,
            )
            total = filtered if total is None else total + filtered
        assert total is not None
        return total.view(n, t_out, c, *total.shape[-2:]).transpose(1, 2)


class ConvBnRelu6(nn.Sequential):
    """Convolution, batch normalisation, ReLU6."""

    def __init__(self, conv: PaddedConv3d) -> None:
        """Wrap `conv`."""
        super().__init__(
            OrderedDict(conv=conv, bn=nn.BatchNorm3d(conv.out_channels), relu=nn.ReLU6(inplace=True))
        )


class InvertedResidual3d(nn.Module):
    """The block of MobileNetV2 [Sandler et al., 2018, arXiv 1801.04381, figure 4d] in 3D.

    1x1x1 expansion (left out when `expansion` is 1), 3x3x3 depthwise, 1x1x1 linear projection; the
    input is added where the shapes allow it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: Stride,
        expansion: int,
        *,
        causal: bool,
        pad_at_end: bool = False,
    ) -> None:
        """Expand to `expansion * in_channels`, filter with `stride` (T, H, W), project to `out_channels`."""
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvBnRelu6(PaddedConv3d(in_channels, hidden, 1)) if expansion != 1 else nn.Identity()
        self.depthwise = ConvBnRelu6(DepthwiseConv3d(hidden, stride, causal=causal, pad_at_end=pad_at_end))
        self.project = nn.Sequential(
            OrderedDict(conv=PaddedConv3d(hidden, out_channels, 1), bn=nn.BatchNorm3d(out_channels))
        )
        self.residual = stride == (1, 1, 1) and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, C', T', H', W')."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y
