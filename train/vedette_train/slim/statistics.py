"""Running statistics of batch norm, measured anew when channels have left.

They were those of the dense network, and a slim one that is judged by them is judged wrongly
[EagleEye, Li et al. 2020, arXiv 2007.02491].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["measure_again"]


@torch.no_grad()
def measure_again(network: nn.Module, data: Iterable[Sequence[Tensor]]) -> None:
    """Set the running statistics to the mean over batches; modes and weights stay as they are.

    Args:
        network: maps clips to logits.
        data: batches (clips, ...) of the training part, at least one.
    """
    modes = {module: module.training for module in network.modules()}
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    device = next(network.parameters()).device
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for clips, *_ in data:
        network(clips.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, training in modes.items():
        module.training = training
