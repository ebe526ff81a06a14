"""Small networks for comparing how time enters a classifier: by frames, early, late, or as a third axis.

Three convolutions with batch normalisation each, global average pooling, one linear layer. Inputs:
(N, C, T, H, W) float, normalised; H and W of at least 4. All give the exact class map (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vedette_edge.manifest import Cells
from vedette_train.models.class_maps import aggregation_shares, check_aggregation, linear_evidence

__all__ = ["EarlyFusion2d", "LateFusion", "PerFrame2d", "Simple3d"]

_WIDTHS = (32, 64, 128)
# Two poolings of 2 without overlap: the first cell covers the first four pixels.
_CELLS = Cells(stride=4.0, first=2.0)


class Simple3d(nn.Module):
    """Three 3D convolutions; T is halved once. 285,418 parameters for 10 classes."""

    heatmap_cells = _CELLS

    def __init__(self, num_classes: int, in_channels: int = 3, frames: int = 10) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            in_channels: of the clips, C.
            frames: of the clips, T; any number from 2 on.

        Raises:
            ValueError: when there are less than 2 frames.
        """
        super().__init__()
        if frames < 2:
            raise ValueError(f"frames must be >= 2, because T is halved once, got {frames}")
        first, second, third = _WIDTHS
        self.features = nn.Sequential(
            nn.Conv3d(in_channels, first, (3, 5, 5), padding=(1, 2, 2), bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 2, 2)),
            nn.Conv3d(first, second, 3, padding=1, bias=False),
            nn.BatchNorm3d(second),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(2),
            nn.Conv3d(second, third, 3, padding=1, bias=False),
            nn.BatchNorm3d(third),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(third, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to logits (N, K)."""
        logits: Tensor = self.head(self.features(x).mean(dim=(2, 3, 4)))
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T // 2, H // 4, W // 4)."""
        heatmap = linear_evidence(self.features(x), self.head)
        return heatmap.mean(dim=(2, 3, 4)) + self.head.bias, heatmap


class PerFrame2d(nn.Module):
    """One 2D network for each frame; the mean or maximum of their logits.

    96,298 parameters for 10 classes.
    """

    heatmap_cells = _CELLS

    def __init__(self, num_classes: int, in_channels: int = 3, aggregation: str = "mean") -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            in_channels: of the clips, C.
            aggregation: of the frames' logits, `mean` or `max`.

        Raises:
            ValueError: when the aggregation is unknown.
        """
        super().__init__()
        self.aggregation = check_aggregation(aggregation)
        self.features = nn.Sequential(*_layers_2d(in_channels))
        self.head = nn.Linear(_WIDTHS[-1], num_classes)

    def _frames(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to the feature maps of their frames, (N, C', T, H', W')."""
        frames = x.transpose(1, 2)
        features: Tensor = self.features(frames.flatten(0, 1))
        return features.view(-1, x.shape[2], *features.shape[1:]).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to logits (N, K)."""
        logits: Tensor = self.head(self._frames(x).mean(dim=(3, 4)).transpose(1, 2))
        return logits.amax(dim=1) if self.aggregation == "max" else logits.mean(dim=1)

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T, H // 4, W // 4).

        With the maximum, each class's map is that of the frame that spoke loudest for it, and zero in the
        other frames.
        """
        evidence = linear_evidence(self._frames(x), self.head)
        logits = evidence.mean(dim=(3, 4)) + self.head.bias[:, None]
        shares = aggregation_shares(logits, 2, self.aggregation)
        heatmap = evidence * (x.shape[2] * shares)[..., None, None]
        return logits.amax(dim=2) if self.aggregation == "max" else logits.mean(dim=2), heatmap


class EarlyFusion2d(nn.Module):
    """One 2D network on all frames, their channels side by side.

    117,898 parameters for 10 classes and T = 10.
    """

    heatmap_cells = _CELLS

    def __init__(self, num_classes: int, in_channels: int = 3, frames: int = 10) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            in_channels: of the clips, C.
            frames: of the clips, T; this network takes no other number.

        Raises:
            ValueError: when there is no frame.
        """
        super().__init__()
        if frames < 1:
            raise ValueError(f"frames must be >= 1, got {frames}")
        self.frames = frames
        self.features = nn.Sequential(*_layers_2d(frames * in_channels))
        self.head = nn.Linear(_WIDTHS[-1], num_classes)

    def _picture(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to feature maps (N, C', H', W')."""
        if x.shape[2] != self.frames:
            raise ValueError(f"this network was built for {self.frames} frames, the clips have {x.shape[2]}")
        features: Tensor = self.features(x.transpose(1, 2).flatten(1, 2))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to logits (N, K).

        Raises:
            ValueError: when T is not the number of frames that the network was built for.
        """
        logits: Tensor = self.head(self._picture(x).mean(dim=(2, 3)))
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, 1, H // 4, W // 4).

        Raises:
            ValueError: as `forward`.
        """
        heatmap = linear_evidence(self._picture(x).unsqueeze(2), self.head)
        return heatmap.mean(dim=(2, 3, 4)) + self.head.bias, heatmap


class LateFusion(nn.Module):
    """Two `Simple3d` trained together; the mean or maximum of their logits.

    570,836 parameters for 10 classes.
    """

    heatmap_cells = _CELLS

    def __init__(
        self, num_classes: int, in_channels: int = 3, frames: int = 10, aggregation: str = "mean"
    ) -> None:
        """Build both networks with random weights.

        Args:
            num_classes: classes, K.
            in_channels: of the clips, C.
            frames: of the clips, T; any number from 2 on.
            aggregation: of the two networks' logits, `mean` or `max`.

        Raises:
            ValueError: when the aggregation is unknown, or there are less than 2 frames.
        """
        super().__init__()
        self.aggregation = check_aggregation(aggregation)
        self.members = nn.ModuleList(Simple3d(num_classes, in_channels, frames) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, C, T, H, W) to logits (N, K)."""
        logits = torch.stack([member(x) for member in self.members])
        return logits.amax(dim=0) if self.aggregation == "max" else logits.mean(dim=0)

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T // 2, H // 4, W // 4).

        With the maximum, each class's map is that of the network that spoke louder for it.
        """
        pairs = [member.forward_with_heatmap(x) for member in self.members]  # type: ignore[operator]
        logits = torch.stack([logits for logits, _ in pairs])
        shares = aggregation_shares(logits, 0, self.aggregation)
        heatmap = sum(
            share[..., None, None, None] * one for share, (_, one) in zip(shares, pairs, strict=True)
        )
        return logits.amax(dim=0) if self.aggregation == "max" else logits.mean(dim=0), heatmap


def _layers_2d(in_channels: int) -> Iterator[nn.Module]:
    first, second, third = _WIDTHS
    for before, after, kernel in ((in_channels, first, 5), (first, second, 3), (second, third, 3)):
        yield nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
        yield nn.BatchNorm2d(after)
        yield nn.ReLU(inplace=True)
        if after != third:
            yield nn.MaxPool2d(2)
