"""R3D-18, torchvision's 3D ResNet, with a head of its own [Tran et al., 2018, arXiv 1711.11248].

Inputs: (N, 3, T, H, W) float, normalised. Any T >= 1; H and W of at least 16. It ends in global average
pooling and one linear layer, so its class map is exact (ADR 0004).
"""

from __future__ import annotations

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

from torch import Tensor, nn
from torchvision.models.video import r3d_18

from vedette_edge.manifest import Cells
from vedette_train.models.class_maps import linear_evidence

__all__ = ["R3d18"]


class R3d18(nn.Module):
    """The network; its width is fixed. 33,174,993 parameters for 17 classes."""

    # Four strides of 2 with symmetric padding: each keeps the first pixel in the first cell's centre.
    heatmap_cells = Cells(stride=16.0, first=0.5)

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        """Build the network with random weights.

        Args:
            num_classes: classes, K.
            dropout: before the linear layer, 0..1.
        """
        super().__init__()
        body = r3d_18(weights=None)
        self.features = nn.Sequential(body.stem, body.layer1, body.layer2, body.layer3, body.layer4)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(body.fc.in_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 3, T, H, W) to logits (N, K)."""
        logits: Tensor = self.head(self.drop(self.features(x).mean(dim=(2, 3, 4))))
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, 3, T, H, W) to logits (N, K) and class maps (N, K, T / 8, H / 16, W / 16), rounded up.

        As in training without dropout.
        """
        heatmap = linear_evidence(self.features(x), self.head)
        return heatmap.mean(dim=(2, 3, 4)) + self.head.bias, heatmap
