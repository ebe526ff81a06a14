"""What the tests of networks share: layers that are not as new, HiResCAM by autograd, where a cell looks."""

from __future__ import annotations

import torch
from torch import nn

NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def seasoned(network: nn.Module, clips: torch.Tensor, gain: float = 1.0) -> nn.Module:
    """Give a new network statistics that fit its weights, so that clips, places and classes differ.

    `gain` is that of the linear layers; the larger, the more does a map consist of large terms that cancel.
    """
    for module in network.modules():
        if isinstance(module, NORMS):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, gain * module.in_features**-0.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
    with torch.no_grad():
        network.train()(clips)
    return network.eval()


def hires_cam(logits: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Return T' H' W' * sum_c dy_k / dA_c * A_c by autograd: logits (N, K), A (N, C, T', H', W')."""
    maps = []
    for label in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), features, retain_graph=True)
        maps.append((gradient * features).sum(dim=1))
    return torch.stack(maps, dim=1).detach() * features[0, 0].numel()


def looks_at(feature_maps, clip: torch.Tensor, row: int, column: int) -> tuple[float, float]:
    """Return the pixel (x, y) around which a cell sees, by the gradient of its sum.

    Args:
        feature_maps: maps a clip to (N, C, T', H', W'), all paths positive.
        clip: (1, C, T, H, W).
        row: of the cell.
        column: of the cell.
    """
    clip = clip.clone().requires_grad_()
    cell = feature_maps(clip)[0, :, :, row, column].sum()
    weight = torch.autograd.grad(cell, clip)[0].double().abs().sum(dim=(0, 1, 2))
    y, x = torch.arange(weight.shape[0]) + 0.5, torch.arange(weight.shape[1]) + 0.5
    return float((weight * x).sum() / weight.sum()), float((weight * y[:, None]).sum() / weight.sum())


def all_paths_count(network: nn.Module) -> nn.Module:
    """Make a network in which every pixel pulls the same way: what is left is where its cells look."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # A maximum would choose one pixel of its window; the mean keeps the window's centre.
    for module in list(network.modules()):
        for child, layer in list(module.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                setattr(module, child, nn.AvgPool2d(layer.kernel_size))
            elif isinstance(layer, nn.MaxPool3d):
                setattr(module, child, nn.AvgPool3d(layer.kernel_size))
    return network.eval()
