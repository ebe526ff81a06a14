"""Features of networks that were trained on ImageNet, from any of their layers.

`FeatureReader` cuts the network after the last layer that is read, keeps nothing between calls (so that
threads may share it), and stays exportable as one graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from vedette_edge.errors import DataError
from vedette_train.models.pooling import grid_means
from vedette_train.weights import read_state_dict

__all__ = ["FeatureReader", "build_backbone", "load_backbone_weights", "pooled"]

_RESNET = {f"layer{index}": f"layer{index}" for index in range(1, 5)}
# Per backbone: its constructor's name in torchvision, and the node at the end of each layer.
_BACKBONES: dict[str, tuple[str, dict[str, str]]] = {
    "resnet18": ("resnet18", _RESNET),
    "resnet50": ("resnet50", _RESNET),
    "wide_resnet50_2": ("wide_resnet50_2", _RESNET),
    "mobilenet_v2": (
        "mobilenet_v2",
        {"layer1": "features.3", "layer2": "features.6", "layer3": "features.13", "layer4": "features.17"},
    ),
}


class FeatureReader(nn.Module):
    """Maps pictures to the feature maps of several layers."""

    def __init__(self, backbone: str, layers: Sequence[str]) -> None:
        """Build it with random weights.

        Args:
            backbone: `resnet18`, `resnet50`, `wide_resnet50_2` or `mobilenet_v2`.
            layers: of `layer1`..`layer4`, from fine to coarse.
        """
        super().__init__()
        constructor, nodes = _BACKBONES[backbone]
        self.layers = tuple(layers)
        network = models.get_model(constructor, weights=None)
        self.body = create_feature_extractor(network, {nodes[layer]: layer for layer in layers})

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) float32 to one (N, C, H', W') map for each layer, from fine to coarse."""
        maps = self.body(images)
        return [maps[layer] for layer in self.layers]


def pooled(maps: Sequence[Tensor]) -> Tensor:
    """Return all layers as one map: averaged over 3 x 3 cells, at the first one's size, one after the other.

    Args:
        maps: (N, C, H, W) each; the first one's H and W decide.

    Returns:
        (N, sum of C, H, W).
    """
    height, width = maps[0].shape[2:]
    parts = [grid_means(F.avg_pool2d(part, 3, 1), height, width) for part in maps]
    return torch.cat(parts, dim=1)


def build_backbone(name: str, layers: Sequence[str], weights: str | None) -> FeatureReader:
    """Build a backbone with its weights, in evaluation mode.

    Args:
        name: as for `FeatureReader`.
        layers: as for `FeatureReader`.
        weights: "torchvision", a `.pth` file, or None for random weights.

    Raises:
        DataError: when the weights cannot be had or are another network's.
    """
    reader = FeatureReader(name, layers)
    if weights:
        state = load_backbone_weights(name, weights)
        wanted = reader.body.state_dict()
        missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
        wrong = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
        for key in (*missing, *wrong):
            raise DataError(
                f"{weights}: '{key}' is {'missing' if key in missing else 'of another shape'}; these are not "
                f"the weights of {name}, in torchvision's names"
            )
        reader.body.load_state_dict(
            {key: value for key, value in state.items() if key in wanted}, strict=False
        )
    return reader.eval()


def load_backbone_weights(name: str, source: str) -> dict[str, Tensor]:
    """Return a state dict with torchvision's names.

    Raises:
        DataError: when the file is no state dict, or there is no network to download from.
    """
    if source == "torchvision":
        try:
            weights = models.get_model_weights(_BACKBONES[name][0]).DEFAULT
            return dict(weights.get_state_dict(progress=True))
        except OSError as error:
            raise DataError(
                f"cannot download the ImageNet weights of {name} ({error}); give a local file: "
                "--set backbone.weights=FILE"
            ) from error
    return read_state_dict(Path(source))
