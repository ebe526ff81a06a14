"""Proves that an exported variant equals the network that was trained, in the device's own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vedette_converters.samples import VideoClips
from vedette_edge.manifest import Accuracy, Parity, Proof
from vedette_edge.proof import Difference, compare
from vedette_edge.runtimes.base import Session
from vedette_edge.types import FloatArray, Outputs
from vedette_train.metrics import accuracy
from vedette_train.models import HeatmapModel

__all__ = ["Judged", "difference", "judge", "reference_outputs", "write_proof"]

FP32_TOLERANCE = 1e-4
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """One video, judged by the PyTorch model and by a variant."""

    truth: int
    found: int
    reference: Outputs
    outputs: Outputs


def reference_outputs(network: HeatmapModel, clips: FloatArray) -> Outputs:
    """Run the PyTorch model on (N, 3, T, H, W) float32 clips."""
    with torch.inference_mode():
        parts = [
            network.forward_with_heatmap(batch) for batch in torch.split(torch.from_numpy(clips), _BATCH)
        ]
    return Outputs(
        torch.cat([logits for logits, _ in parts]).numpy(), torch.cat([maps for _, maps in parts]).numpy()
    )


def judge(video: VideoClips, truth: int, reference: Outputs, session: Session, temperature: float) -> Judged:
    """Run a variant on all windows of a video, one at a time as the device does."""
    parts = [session.run(video.tensor[i : i + 1]) for i in range(len(video.tensor))]
    outputs = Outputs(
        np.concatenate([part.logits for part in parts]), np.concatenate([part.heatmap for part in parts])
    )
    logits = torch.from_numpy(outputs.logits) / temperature
    mean = torch.softmax(logits, dim=1).mean(dim=0)
    return Judged(truth, int(mean.argmax()), reference, outputs)


def difference(judged: Sequence[Judged]) -> Difference:
    """Measure how far a variant is from the PyTorch model over all windows of all videos."""
    return compare(_joined([item.outputs for item in judged]), _joined([item.reference for item in judged]))


def write_proof(judged: Sequence[Judged], found: Difference, tolerance: float, split: str) -> Proof:
    """Summarise how a variant did on the videos that the run reports on; `found` is finite."""
    right = accuracy([item.truth for item in judged], [item.found for item in judged])
    return Proof(
        parity=Parity(
            samples=sum(len(item.outputs.logits) for item in judged),
            source=f"windows of {len(judged)} held-out videos",
            logits_max_abs=found.logits_max,
            logits_mean_abs=found.logits_mean,
            heatmap_max_abs=found.heatmap_max,
            heatmap_mean_abs=found.heatmap_mean,
            label_agreement=found.label_agreement,
            tolerance=tolerance,
        ),
        accuracy=Accuracy(
            value=right.value, low=right.low, high=right.high, samples=right.samples, split=split
        ),
    )


def _joined(outputs: Sequence[Outputs]) -> Outputs:
    return Outputs(
        np.concatenate([one.logits for one in outputs]), np.concatenate([one.heatmap for one in outputs])
    )
