"""DS3D-FGAttNet and its baseline: two streams of 3D convolutions, picture and optical flow, fused.

Inputs: (N, 5, T, H, W) float, the channels R, G, B, flow to the right, flow downwards; T a multiple of 8; any
H and W of at least 8 (the baseline: 16). Small in memory and heavy in compute: 16 channels at full
resolution cost the most. Every layer's sizes are those of the published networks, so their weights fit
(`vedette-train import-checkpoint`).
"""

from __future__ import annotations

from torch import Tensor, nn

from vedette_edge.manifest import Cells
from vedette_train.models.dual_stream_head import MergeHead
from vedette_train.models.dual_stream_layers import Cbam3d, FlowGatedFusion, make_fusion
from vedette_train.models.separable import SeparableConv3d

__all__ = ["Ds3dBaseline", "Ds3dFgAttNet"]

_FEATURES = 32
_PICTURE, _FLOW = 3, 2


class _DualStream(nn.Module):
    """Two streams, a fusion, a head."""

    channels = _PICTURE + _FLOW
    # The ramps that stand for steps in the map's derivatives (ADR 0009) make rounding a hundred times larger.
    heatmap_tolerance = 1e-3

    def __init__(self, rgb: nn.Module, flow: nn.Module, fusion: nn.Module, head: MergeHead) -> None:
        super().__init__()
        self.rgb = rgb
        self.flow = flow
        self.fusion = fusion
        self.head = head
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _fused(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.channels or x.shape[2] % FlowGatedFusion.window:
            raise ValueError(
                f"expected clips of {self.channels} channels and a multiple of {FlowGatedFusion.window} "
                f"frames, got {tuple(x.shape)}"
            )
        fused: Tensor = self.fusion(self.rgb(x[:, :_PICTURE]), self.flow(x[:, _PICTURE:]))
        return fused

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 5, T, H, W) to logits (N, K).

        Raises:
            ValueError: when there are not 5 channels, or T is not a multiple of 8.
        """
        logits: Tensor = self.head(self._fused(x))
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, 5, T, H, W) to logits (N, K) and class maps (N, K, T', H', W').

        The maps lie on the grid of the fused features, and are HiResCAM on the convolution behind them:
        see `MergeHead.forward_with_heatmap`.

        Raises:
            ValueError: as `forward`.
        """
        return self.head.forward_with_heatmap(self._fused(x))


class Ds3dFgAttNet(_DualStream):
    """The proposed network: attention in both streams, flow-gated fusion, attention before the last layers.

    264,792 parameters with 64 hidden units, 275,096 with 128; 34.7 GMAC for 32 x 224 x 224. Maps:
    (N, K, T / 8, H / 8, W / 8).
    """

    # Three poolings of 2 without overlap: the first cell covers the first eight pixels.
    heatmap_cells = Cells(stride=8.0, first=4.0)

    def __init__(
        self, num_classes: int = 2, hidden: int = 64, dropout: float = 0.15, frames: int = 32
    ) -> None:
        """Build the network with random weights; the defaults are those of the published best one.

        Args:
            num_classes: classes, K.
            hidden: units of the first layer of the perceptron.
            dropout: before it and after its first layer, 0..1.
            frames: of the clips, T.

        Raises:
            ValueError: when `frames` is not a multiple of 8.
        """
        _check_frames(frames)
        super().__init__(
            _attentive_stream(_PICTURE),
            _attentive_stream(_FLOW),
            FlowGatedFusion(),
            MergeHead(num_classes, hidden, dropout, attention=True),
        )


class Ds3dBaseline(_DualStream):
    """The network that it was compared with: one pooling more, no attention, four ways to fuse.

    285,234 parameters with 128 hidden units and fusion `fgf`; 23.7 GMAC for 32 x 224 x 224. The flow's last
    two layers end in a sigmoid, so with `fgf` the gate lies in 0.5..0.731. Maps: (N, K, T', H / 16, W / 16),
    where T' is T / 8 for `fgf` and T for the other fusions.
    """

    # Four poolings of 2 without overlap: the first cell covers the first sixteen pixels.
    heatmap_cells = Cells(stride=16.0, first=8.0)

    def __init__(
        self,
        num_classes: int = 2,
        hidden: int = 128,
        dropout: float = 0.3,
        fusion: str = "fgf",
        frames: int = 32,
    ) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            hidden: units of the first layer of the perceptron.
            dropout: before it and after its first layer, 0..1.
            fusion: `multiply`, `concat`, `gated` or `fgf`.
            frames: of the clips, T.

        Raises:
            ValueError: when `frames` is not a multiple of 8, or the fusion is unknown.
        """
        _check_frames(frames)
        super().__init__(
            _plain_stream(_PICTURE),
            _plain_stream(_FLOW, sigmoid=True),
            make_fusion(fusion, _FEATURES),
            MergeHead(num_classes, hidden, dropout, attention=False),
        )


def _attentive_stream(channels: int) -> nn.Sequential:
    return nn.Sequential(
        SeparableConv3d(channels, 16),
        SeparableConv3d(16, 16),
        nn.MaxPool3d((1, 2, 2)),
        SeparableConv3d(16, _FEATURES),
        SeparableConv3d(_FEATURES, _FEATURES),
        nn.MaxPool3d((1, 2, 2)),
        Cbam3d(_FEATURES),
        SeparableConv3d(_FEATURES, _FEATURES),
        SeparableConv3d(_FEATURES, _FEATURES),
        nn.MaxPool3d((1, 2, 2)),
    )


def _plain_stream(channels: int, *, sigmoid: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, width in ((channels, 16), (16, 16), (16, _FEATURES)):
        layers += [SeparableConv3d(before, width), SeparableConv3d(width, width), nn.MaxPool3d((1, 2, 2))]
    for _ in range(2):
        layers.append(SeparableConv3d(_FEATURES, _FEATURES, "sigmoid" if sigmoid else "relu"))
    return nn.Sequential(*layers, nn.MaxPool3d((1, 2, 2)))


def _check_frames(frames: int) -> None:
    if frames < FlowGatedFusion.window or frames % FlowGatedFusion.window:
        raise ValueError(f"frames must be a multiple of {FlowGatedFusion.window}, got {frames}")
