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
from vedette_train.models.class_maps import winners
from vedette_train.models.inflate import inflate, load_imagenet_weights
from vedette_train.models.layers import ConvBnRelu6, InvertedResidual3d, PaddedConv3d, Stride

__all__ = ["MODES", "PADDINGS", "SAME_FEATURE", "TIME_POOLINGS", "MobileNetV2_3d"]

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


# Pixel in the centre of the first cell of the class maps. Five strides of 2 with symmetric padding each
# keep it at the first pixel; padding only at the end moves it by half of a stride.
PADDINGS = {"symmetric": 0.5, "end": 31.5}
TIME_POOLINGS = ("mean", "max")
# Frames whose means of a channel differ by less than this are equally large; features lie in 0..6.
SAME_FEATURE = 1e-2


class MobileNetV2_3d(nn.Module):  # noqa: N801 - the paper writes it with a hyphen
    """The network.

    Modes: `standard` halves T four times; `high_temporal` keeps T everywhere (2.8 times the work);
    `causal` keeps T and lets no frame see its future, so it can run frame by frame.
    """

    def __init__(
        self,
        num_classes: int,
        width_mult: float = 1.0,
        mode: str = "standard",
        dropout: float = 0.2,
        padding: str = "symmetric",
        time_pooling: str = "mean",
        in_channels: int = 3,
    ) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            width_mult: factor on all channel numbers but the last layer's, which grows only above 1.
            mode: a key of `MODES`.
            dropout: before the linear layer, 0..1.
            padding: a key of `PADDINGS`: of strided layers; "end" for weights that come from TensorFlow.
            time_pooling: a key of `TIME_POOLINGS`: how the frames' features become the clip's. "max" finds
                a short action in a long clip.
            in_channels: of the clips, C.

        Raises:
            ValueError: when `mode` is unknown, or a number is out of its range.
        """
        super().__init__()
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be in 0..1, got {dropout}")
        if mode not in MODES:
            raise ValueError(f"unknown mode '{mode}', expected one of: {', '.join(MODES)}")
        if padding not in PADDINGS:
            raise ValueError(f"unknown padding '{padding}', expected one of: {', '.join(PADDINGS)}")
        if time_pooling not in TIME_POOLINGS:
            raise ValueError(
                f"unknown time_pooling '{time_pooling}', expected one of: {', '.join(TIME_POOLINGS)}"
            )
        if num_classes < 1 or int(_STAGES[0][1] * width_mult) < 1:
            raise ValueError(
                f"num_classes must be >= 1 and width_mult >= 1/16, got {num_classes}, {width_mult}"
            )
        strides_in_time, causal = MODES[mode]
        pad_at_end = padding == "end"
        self.causal = causal
        self.time_pooling = time_pooling
        self.heatmap_cells = Cells(stride=32.0, first=PADDINGS[padding])
        channels = int(_STEM_CHANNELS * width_mult)
        last = int(_LAST_CHANNELS * max(1.0, width_mult))
        stem = PaddedConv3d(in_channels, channels, 3, (1, 2, 2), causal=causal, pad_at_end=pad_at_end)
        layers: list[nn.Module] = [ConvBnRelu6(stem)]
        for expansion, base, repeats, space, time in _STAGES:
            out = int(base * width_mult)
            first: Stride = (time if strides_in_time else 1, space, space)
            for index in range(repeats):
                stride = first if index == 0 else (1, 1, 1)
                layers.append(
                    InvertedResidual3d(channels, out, stride, expansion, causal=causal, pad_at_end=pad_at_end)
                )
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
        logits: Tensor = self.classifier(self.pooled(self.features(x)))
        return logits

    def load_pretrained(self, source: str) -> None:
        """Start from the 2D network's ImageNet weights, in place; see `models.inflate`.

        Args:
            source: "torchvision" to download them, or a `.pth` file with torchvision's key names.

        Raises:
            DataError: when they cannot be had or are not of this network.
        """
        inflate(self, load_imagenet_weights(source))

    def pooled(self, features: Tensor) -> Tensor:
        """Map features (N, C, T', H', W') to those of the clip, (N, C)."""
        frames = features.mean(dim=(3, 4))
        return frames.amax(dim=2) if self.time_pooling == "max" else frames.mean(dim=2)

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T', H', W').

        The map of class k is `sum_c w[k, c] * A[c]` over the last convolution A; its mean over T', H', W'
        plus the bias is the logit. Where the largest frame counts, A is zero in the others.
        """
        return self.evidence(self.features(x))

    def evidence(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (N, C, T', H', W') to logits (N, K) and class maps (N, K, T', H', W')."""
        logits: Tensor = self.head(self.pooled(features))
        if self.time_pooling == "max":
            features = features * _share_of_largest(features)
        weight = self.head.weight[:, :, None, None, None]
        return logits, nn.functional.conv3d(features, weight)


def _share_of_largest(features: Tensor) -> Tensor:
    """Return T' for the frame with the largest mean of each channel, and 0 for the others.

    Frames that are equally large share it. (N, C, T', H', W') to (N, C, T', 1, 1).
    """
    frames = features.mean(dim=(3, 4), keepdim=True)
    return winners(frames, 2, SAME_FEATURE) * features.shape[2]


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
