"""A run's network as one `.pt2` file, for programs with PyTorch; devices take bundles, with more proof.

The file holds the graph of `torch.export` with its weights: clips (N, C, T, H, W) float32 to logits (N, K)
and class maps (N, K, T', H', W'), for any N. It needs no code of ours to run. In it lies `vedette.json`:
name, labels, input and temperature.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vedette_edge.errors import ProofError, UsageError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import InputSpec
from vedette_edge.proof import Difference, compare
from vedette_edge.types import Outputs
from vedette_train.models import HeatmapModel
from vedette_train.runs import Run

__all__ = ["TOLERANCE", "WithHeatmap", "describe", "export_run", "prove", "to_program"]

TOLERANCE = 1e-4
_NOTES = "vedette.json"


class WithHeatmap(nn.Module):
    """Gives a network's two outputs from `forward`, which is what exporters trace."""

    def __init__(self, network: HeatmapModel) -> None:
        """Wrap `network`."""
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (N, C, T, H, W) to logits (N, K) and class maps (N, K, T', H', W')."""
        return self.network.forward_with_heatmap(clips)


def export_run(run: Run, out: Path) -> Difference:
    """Write a run's network as a `.pt2` file, once the file gives what the network gives.

    Args:
        run: a finished run.
        out: the file; must not exist.

    Returns:
        How far the two are apart.

    Raises:
        UsageError: when there is something at `out`, or its folder is not there.
        DataError: when the run's weights cannot be loaded.
        ProofError: when the outputs differ by more than `TOLERANCE`; nothing is written.
    """
    if out.exists() or not out.parent.is_dir():
        what = "is there already" if out.exists() else "lies in no folder that there is"
        raise UsageError(f"{out} {what}; choose another --out")
    network, spec = run.network(), run.recipe.data.input
    buffer = io.BytesIO()
    torch.export.save(to_program(network, spec), buffer, extra_files={_NOTES: json.dumps(describe(run))})
    found = prove(buffer.getvalue(), network, spec)
    write_atomically(out, buffer.getvalue())
    return found


def to_program(network: nn.Module, spec: InputSpec) -> ExportedProgram:
    """Return the graph of a network and its class maps, for any number of clips.

    Args:
        network: a `HeatmapModel` in evaluation mode, on the CPU.
        spec: its input.
    """
    module = WithHeatmap(cast(HeatmapModel, network)).eval()
    # Two clips, because an axis of length one is taken for a constant.
    program = torch.export.export(module, (_noise(2, spec),), dynamic_shapes={"clips": {0: Dim("batch")}})
    program.example_inputs = None  # saved with the graph, and often larger than the weights
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def prove(data: bytes, network: nn.Module, spec: InputSpec) -> Difference:
    """Return how far a `.pt2` file is from a network, on random clips, one at a time and three at once.

    Raises:
        ProofError: when they differ by more than `TOLERANCE`.
    """
    loaded = torch.export.load(io.BytesIO(data)).module()
    reference = WithHeatmap(cast(HeatmapModel, network))
    clips = _noise(3, spec)
    with torch.inference_mode(), np.errstate(invalid="ignore"):  # infinity less infinity is within no bound
        wanted = _outputs([reference(clips)] * 2)
        found = compare(_outputs([loaded(clips), *[loaded(clip) for clip in torch.split(clips, 1)]]), wanted)
    if not found.within(TOLERANCE):
        raise ProofError(
            f"the exported network is not the trained one: largest difference {found.logits_max:.1e} "
            f"(logits), {found.heatmap_max:.1e} (heatmap), allowed {TOLERANCE:.0e}; nothing was written"
        )
    return found


def describe(run: Run) -> dict[str, object]:
    """Return what a program must know beside the graph, for JSON."""
    return {
        "name": run.recipe.name,
        "labels": list(run.info.labels),
        "input": run.recipe.data.input.model_dump(mode="json"),
        "temperature": run.decision.temperature,
    }


def _noise(clips: int, spec: InputSpec) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(clips, spec.channels, spec.frames, spec.height, spec.width, generator=generator)


def _outputs(parts: list[tuple[Tensor, Tensor]]) -> Outputs:
    return Outputs(
        np.concatenate([logits.numpy() for logits, _ in parts]),
        np.concatenate([heatmap.numpy() for _, heatmap in parts]),
    )
