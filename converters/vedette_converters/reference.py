"""What the PyTorch network gives: the reference of every proof."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vedette_edge.errors import BundleError
from vedette_edge.types import FloatArray, Outputs
from vedette_train.models import HeatmapModel
from vedette_train.models.layers import PaddedConv3d
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d

__all__ = ["clip_outputs", "past_frames", "stream_outputs"]

_BATCH = 8
_BLOCK = 32  # frames of a stream at once, beside those before that they need


@torch.inference_mode()
def clip_outputs(network: HeatmapModel, clips: FloatArray) -> Outputs:
    """Run a network on (N, C, T, H, W) float32 clips."""
    batches = torch.split(torch.from_numpy(clips), _BATCH)
    return _outputs([network.forward_with_heatmap(batch) for batch in batches])


@torch.inference_mode()
def stream_outputs(network: HeatmapModel, stream: FloatArray, frames: int) -> Outputs:
    """Run the clip network on all frames of a stream at once, and read it as a stream would.

    Args:
        network: a causal one.
        stream: (1, C, n, H, W) float32, any n >= 1.
        frames: T, the frames that a score speaks of.

    Returns:
        A row a frame: the logits (n, K) of the clip of the last T frames that ends with it, in which each
        frame sees its whole past, and the map (n, K, 1, H', W') of the frame itself.

    Raises:
        BundleError: when the network is not causal.
    """
    if not isinstance(network, MobileNetV2_3d) or not network.causal:
        raise BundleError("a network that sees the future of a frame has no outputs frame by frame")
    features = _features(network, torch.from_numpy(stream))
    rows = []
    for end in range(1, features.shape[2] + 1):
        logits, heatmap = network.evidence(features[:, :, max(0, end - frames) : end])
        rows.append((logits, heatmap[:, :, -1:]))
    return _outputs(rows)


def past_frames(network: nn.Module) -> int:
    """Return how many frames before it a frame of the features sees."""
    return sum(module.past for module in network.modules() if isinstance(module, PaddedConv3d))


def _features(network: MobileNetV2_3d, stream: Tensor) -> Tensor:
    """Return the features of all frames, in blocks: those of a whole video would not fit the memory."""
    past, parts = past_frames(network), []
    for start in range(0, stream.shape[2], _BLOCK):
        before = min(start, past)
        block = network.features(stream[:, :, start - before : start + _BLOCK])
        parts.append(block[:, :, before:])
    return torch.cat(parts, dim=2)


def _outputs(parts: list[tuple[Tensor, Tensor]]) -> Outputs:
    return Outputs(
        torch.cat([logits for logits, _ in parts]).numpy(), torch.cat([maps for _, maps in parts]).numpy()
    )
