"""A detector as the other networks are: clips of one picture in, score and map out."""

from __future__ import annotations

from torch import Tensor, nn

from vedette_edge.manifest import Cells
from vedette_train.anomaly.detectors import Detector

__all__ = ["ClipDetector"]


class ClipDetector(nn.Module):
    """Gives a detector's score as the only logit, and its map as the heatmap of it (a `HeatmapModel`)."""

    def __init__(self, detector: Detector, stride: int) -> None:
        """Wrap a detector.

        Args:
            detector: in the mode it shall be in.
            stride: pixels of the input to a cell of its map, from `AnomalyRecipe.stride`.
        """
        super().__init__()
        self.detector = detector
        # The map begins behind its border, whose cells are as wide as its own.
        self.heatmap_cells = Cells(stride=float(stride), first=(detector.border + 0.5) * stride)
        self.keeps_float = tuple(f"detector.{name}" for name in detector.keeps_float)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 3, 1, H, W) float32 to scores (N, 1)."""
        return self.forward_with_heatmap(x)[0]

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, 3, 1, H, W) float32 to scores (N, 1) and maps (N, 1, 1, H', W')."""
        scores, maps = self.detector(x.squeeze(2))
        return scores[:, None], maps[:, None, None]
