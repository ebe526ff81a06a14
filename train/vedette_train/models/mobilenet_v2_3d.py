"""MobileNetV2-3D: inverted residuals with 3D depthwise convolutions [Kopuklu et al., 2019, arXiv 1904.02422].

Inputs: (N, C, T, H, W) float, normalised. Any T >= 1; H and W of at least 32.

The network ends in global average pooling and one linear layer, so the evidence for each class at each
place, `sum_c w[k, c] * A[c]`, needs no gradient: `forward_with_heatmap` returns it beside the logits.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn

from vedette_edge.manifest import Cells
from vedette_train.models.layers import ConvBnRelu6, InvertedResidual3d, PaddedConv3d, Stride

__all__ = ["MODES", "MobileNetV2_3d"]

# One row a stage: expansion t, channels c, repeats n, spatial stride s, time stride in "standard" mode.
_STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 2),
    (6, 32, 3, 2, 2),
    (6, 64, 4, 2, 2),
    (6, 96, 3, 1, 1),
    (6, 160, 3, 2, 2),
    (6, 320, 1, 1, 1),
)
_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280


class _Mode(NamedTuple):
    strides_in_time: bool
    causal: bool


MODES = {
    "standard": _Mode(strides_in_time=True, causal=False),
    "high_temporal": _Mode(strides_in_time=False, causal=False),
    "causal": _Mode(strides_in_time=False, causal=True),
}


class MobileNetV2_3d(nn.Module):  # noqa: N801 - the paper writes it with a hyphen
    """The network.

    Modes: `standard` halves T four times; `high_temporal` keeps T everywhere (2.8 times the work);
    `causal` keeps T and lets no frame see its future, so it can run frame by frame.
    """

    # Five strides of 2 with symmetric padding: each keeps the first pixel in the first cell's centre.
    heatmap_cells = Cells(stride=32.0, first=0.5)

    def __init__(
        self,
        num_classes: int,
        width_mult: float = 1.0,
        mode: str = "standard",
        dropout: float = 0.2,
        in_channels: int = 3,
    ) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            width_mult: factor on all channel numbers but the last layer's, which grows only above 1.
            mode: a key of `MODES`.
            dropout: before the linear layer, 0..1.
            in_channels: of the clips, C.

        Raises:
            ValueError: when `mode` is unknown, or a number is out of its range.
        """
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"unknown mode '{mode}', expected one of: {', '.join(MODES)}")
        if num_classes < 1 or int(_STAGES[0][1] * width_mult) < 1:
            raise ValueError(
                f"num_classes must be >= 1 and width_mult >= 1/16, got {num_classes}, {width_mult}"
            )
        strides_in_time, causal = MODES[mode]
        channels = int(_STEM_CHANNELS * width_mult)
        last = int(_LAST_CHANNELS * max(1.0, width_mult))
        layers: list[nn.Module] = [
            ConvBnRelu6(PaddedConv3d(in_channels, channels, 3, (1, 2, 2), causal=causal))
        ]
        for expansion, base, repeats, space, time in _STAGES:
            out = int(base * width_mult)
            first: Stride = (time if strides_in_time else 1, space, space)
            for index in range(repeats):
                stride = first if index == 0 else (1, 1, 1)
                layers.append(InvertedResidual3d(channels, out, stride, expansion, causal=causal))
                channels = out
        layers.append(ConvBnRelu6(PaddedConv3d(channels, last, 1)))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            OrderedDict(dropout=nn.Dropout(dropout), linear=nn.Linear(last, num_classes))
        )
        _initialise(self)

    @property
    def head(self) -> nn.Linear:
        """The linear layer; its weight is (K, C)."""
        linear = self.classifier.get_submodule("linear")
        assert isinstance(linear, nn.Linear)
        return linear

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to logits (N, K)."""
        pooled = self.features(x).mean(dim=(2, 3, 4))
        logits: Tensor = self.classifier(pooled)
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T', H', W').

        The map of class k is `sum_c w[k, c] * A[c]` over the last convolution A; its mean over T', H', W'
        plus the bias is the logit.
        """
        features = self.features(x)
        weight = self.head.weight[:, :, None, None, None]
        heatmap = nn.functional.conv3d(features, weight)
        return heatmap.mean(dim=(2, 3, 4)) + self.head.bias, heatmap


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan_out = math.prod(module.kernel_size) * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)
        elif isinstance(module, InvertedResidual3d) and module.residual:
            # Blocks begin as the identity [Goyal et al., 2017, arXiv 1706.02677, section 5.1].
            norm = module.project[-1]
            assert isinstance(norm, nn.BatchNorm3d)
            nn.init.zeros_(norm.weight)
