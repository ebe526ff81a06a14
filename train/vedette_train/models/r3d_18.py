"""R3D-18, torchvision's 3D ResNet, with a head of its own [Tran et al., 2018, arXiv 1711.11248].

Inputs: (N, 3, T, H, W) float, normalised. Any T >= 1; H and W of at least 16. It ends in global average
pooling and one linear layer, so its class map is exact (ADR 0004).
"""

from __future__ import annotations

from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

from torch import Tensor, nn
from torchvision.models.video import R3D_18_Weights, r3d_18

from vedette_edge.errors import DataError
from vedette_edge.manifest import Cells
from vedette_train.models.class_maps import linear_evidence
from vedette_train.models.published import read_checkpoint

__all__ = ["R3d18"]

_PARTS = ("stem", "layer1", "layer2", "layer3", "layer4")


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
        self.features = nn.Sequential(*(body.get_submodule(part) for part in _PARTS))
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(body.fc.in_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 3, T, H, W) to logits (N, K)."""
        logits: Tensor = self.head(self.drop(self.features(x).mean(dim=(2, 3, 4))))
        return logits

    def forward_with_heatmap(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, 3, T, H, W) to logits (N, K) and class maps (N, K, T', H', W').

        T' is T / 8, H' and W' are H / 16 and W / 16, rounded up. Without dropout.
        """
        heatmap = linear_evidence(self.features(x), self.head)
        return heatmap.mean(dim=(2, 3, 4)) + self.head.bias, heatmap

    def load_pretrained(self, source: str) -> None:
        """Start from weights of torchvision's network, in place; the head keeps its random ones.

        Args:
            source: a `.pth` file with torchvision's key names, or "torchvision" to download its
                `KINETICS400_V1` weights.

        Raises:
            DataError: when the file is not of this network, or there is no network to download from.
        """
        state = _download() if source == "torchvision" else read_checkpoint(Path(source))
        own = self.features.state_dict()
        for key, tensor in own.items():
            index, _, rest = key.partition(".")
            theirs = f"{_PARTS[int(index)]}.{rest}"
            if theirs not in state or state[theirs].shape != tensor.shape:
                raise DataError(
                    f"{source}: {theirs} is missing or of another shape than {tuple(tensor.shape)}; expected "
                    "the weights of torchvision's r3d_18"
                )
            own[key] = state[theirs]
        self.features.load_state_dict(own)


def _download() -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = R3D_18_Weights.KINETICS400_V1.get_state_dict(progress=True)
    except OSError as error:
        raise DataError(
            f"cannot download the Kinetics weights ({error}); give a local file: --set init.weights=FILE"
        ) from error
    return state
