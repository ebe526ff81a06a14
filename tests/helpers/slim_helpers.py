"""One small network of every family, with its input; and channels of it set to zero."""

from __future__ import annotations

from typing import Any

import torch
from model_helpers import seasoned
from torch import nn
from train_helpers import input_spec

from vedette_edge.manifest import FlowSpec, InputSpec
from vedette_train.models import create_for_input
from vedette_train.slim.groups import Group

RGB = {"height": 32, "width": 32}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet standard": ("mobilenet_v2_3d", {"width_mult": 0.25}),
    "mobilenet high_temporal": ("mobilenet_v2_3d", {"width_mult": 0.25, "mode": "high_temporal"}),
    "mobilenet causal": (
        "mobilenet_v2_3d",
        {"width_mult": 0.25, "mode": "causal", "padding": "end", "time_pooling": "max"},
    ),
    "fgattnet": ("ds3d_fgattnet", {}),
    **{
        f"baseline {fusion}": ("ds3d_baseline", {"fusion": fusion})
        for fusion in ("multiply", "concat", "gated", "fgf")
    },
    "simple_3d": ("simple_3d", {}),
    "per_frame_2d": ("per_frame_2d", {"aggregation": "max"}),
    "early_fusion_2d": ("early_fusion_2d", {}),
    "late_fusion": ("late_fusion", {"aggregation": "max"}),
    "r3d_18": ("r3d_18", {}),
}


def family(name: str, seed: int = 0) -> tuple[nn.Module, InputSpec]:
    """Return a network of a family, as if it had been trained, and its input."""
    torch.manual_seed(seed)
    model, arguments = FAMILIES[name]
    spec = input_spec(**RGB)
    if model.startswith("ds3d"):
        spec = input_spec(**RGB, frames=8, streams="rgb+flow", flow=FlowSpec(algorithm="dis"))
    network = create_for_input(model, 3, spec, **arguments)
    return seasoned(network, clips(spec, 4)), spec


def clips(spec: InputSpec, count: int = 2, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, spec.channels, spec.frames, spec.height, spec.width, generator=generator)


@torch.no_grad()
def silence(network: nn.Module, groups: list[Group], seed: int = 0) -> None:
    """Set half of the channels of each group to zero, by chance, in all layers that share them."""
    generator = torch.Generator().manual_seed(seed)
    for group in groups:
        dead = set(torch.randperm(group.channels, generator=generator)[: group.channels // 2].tolist())
        for member in group.members:
            gone = [i for i, channel in zip(member.index, member.channel, strict=True) if channel in dead]
            for tensor in network.get_submodule(member.layer).parameters(recurse=False):
                if member.side == "outputs":
                    tensor[gone] = 0
                elif tensor.ndim > 1:
                    tensor[:, gone] = 0
