"""From fused features to logits, and back to where they came from.

The dual-stream networks end in a 3x3 grid, a maximum and a perceptron, so their class map is not one product.
It is HiResCAM [Draelos and Carin, 2020, arXiv 2011.08891] on the last convolution before the grid, with the
gradient written out in forward operators (ADR 0009): nothing needs autograd, so the map can be exported.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette_train.models.class_maps import above_zero, winners
from vedette_train.models.dual_stream_layers import SqueezeExcite
from vedette_train.models.pooling import bin_shares, grid_means
from vedette_train.models.separable import SeparableConv3d

__all__ = ["MergeHead"]

_IN, _MIDDLE, _OUT, _LAST = 32, 64, 128, 32
_GRID = 3
# Far above rounding, far below what features differ by (ADR 0009).
_SLACK = 1e-2


class _Seen(NamedTuple):
    """What the head computed on its way, first to last."""

    fine: Tensor
    grid: Tensor
    squeezed: Tensor | None
    gate: Tensor | None
    between: Tensor
    coarse: Tensor
    hidden: Tensor
    last: Tensor
    logits: Tensor


class MergeHead(nn.Module):
    """Convolution, 3x3 grid, channel attention, convolution, maximum, perceptron of three layers."""

    def __init__(self, num_classes: int, hidden: int, dropout: float, *, attention: bool) -> None:
        """Build it for fused features of 32 channels.

        Args:
            num_classes: classes, K.
            hidden: units of the perceptron's first layer.
            dropout: on the perceptron's input and its first layer, 0..1.
            attention: whether channels are weighed (`SqueezeExcite`) between the two convolutions.
        """
        super().__init__()
        self.first = SeparableConv3d(_IN, _MIDDLE)
        self.attention = SqueezeExcite(_MIDDLE) if attention else None
        self.second = SeparableConv3d(_MIDDLE, _OUT)
        self.drop = nn.Dropout(dropout)
        self.hidden = nn.Linear(_OUT, hidden)
        self.last = nn.Linear(hidden, _LAST)
        self.logits = nn.Linear(_LAST, num_classes)

    def forward(self, fused: Tensor) -> Tensor:
        """Map fused features (N, 32, T, H, W) to logits (N, K)."""
        return self._run(fused).logits

    def _run(self, fused: Tensor) -> _Seen:
        fine: Tensor = self.first(fused)
        grid = grid_means(fine.mean(dim=2, keepdim=True), _GRID, _GRID)
        squeezed = gate = None
        weighed = grid
        if self.attention is not None:
            squeezed, gate = self.attention.gate(grid)
            weighed = grid * gate[:, :, None, None, None]
        between, coarse = self.second.both(weighed)
        hidden = self.hidden(self.drop(coarse.amax(dim=(2, 3, 4))))
        last = self.last(self.drop(torch.relu(hidden)))
        logits = self.logits(torch.relu(last))
        return _Seen(fine, grid, squeezed, gate, between, coarse, hidden, last, logits)

    def forward_with_heatmap(self, fused: Tensor, slack: float = _SLACK) -> tuple[Tensor, Tensor]:
        """Map fused features (N, 32, T, H, W) to logits (N, K) and class maps (N, K, T, H, W).

        The map is the gradient of the logit with respect to the output of the first convolution, times that
        output, summed over the channels, times T H W / 9; its ReLU is HiResCAM up to that constant. So its
        mean over a cell of the 3x3 grid is what that cell contributes. It is the map of the network in
        evaluation mode.

        Args:
            fused: the features.
            slack: widths of the ramps that stand for the steps in the derivatives of ReLU and maximum.
        """
        seen = self._run(fused)
        pull = self._to_weighed(seen, self._to_coarse(seen, slack), slack)
        if self.attention is not None:
            pull = _through_attention(self.attention, seen, pull, slack)
        n, classes = seen.logits.shape
        height, width = seen.fine.shape[3:]
        rows, columns = (bin_shares(_GRID, length, seen.fine) for length in (height, width))
        weight = rows.T @ pull.view(n, classes, _MIDDLE, _GRID, _GRID) @ columns
        evidence = torch.einsum("nkchw,ncthw->nkthw", weight, seen.fine)
        return seen.logits, evidence * (height * width / _GRID**2)

    def _to_coarse(self, seen: _Seen, slack: float) -> Tensor:
        """Return the gradient of each logit on the coarse maps, (N, K, 128, 1, 3, 3)."""
        pull = self.logits.weight * above_zero(seen.last, slack)[:, None]
        pull = (pull @ self.last.weight) * above_zero(seen.hidden, slack)[:, None]
        pull = pull @ self.hidden.weight
        return pull[..., None, None, None] * winners(seen.coarse, (2, 3, 4), slack)[:, None]

    def _to_weighed(self, seen: _Seen, pull: Tensor, slack: float) -> Tensor:
        """Carry the gradient back through the second convolution.

        (N, K, 128, 1, 3, 3) to (N K, 64, 1, 3, 3).
        """
        bn = self.second.bn
        assert bn.running_var is not None
        scale = (bn.weight / (bn.running_var + bn.eps).sqrt())[:, None, None, None]
        pull = (pull * above_zero(seen.coarse, slack)[:, None] * scale).flatten(0, 1)
        classes = seen.logits.shape[1]
        pull = _transposed(pull, self.second.temporal.weight)
        pull = pull * above_zero(seen.between, slack).repeat_interleave(classes, dim=0)
        return _transposed(pull, self.second.spatial.weight)


def _through_attention(attention: SqueezeExcite, seen: _Seen, pull: Tensor, slack: float) -> Tensor:
    """Carry the gradient, (N K, 64, 1, 3, 3), back through the channel attention's input and its weights."""
    assert seen.gate is not None
    assert seen.squeezed is not None
    pull = pull.view(*seen.logits.shape, *pull.shape[1:])
    on_gate = (pull * seen.grid[:, None]).sum(dim=(3, 4, 5)) * (seen.gate * (1 - seen.gate))[:, None]
    on_mean = (on_gate @ attention.excite.weight) * above_zero(seen.squeezed, slack)[:, None]
    on_mean = on_mean @ attention.squeeze.weight / _GRID**2
    direct = pull * seen.gate[:, None, :, None, None, None]
    return (direct + on_mean[..., None, None, None]).flatten(0, 1)


def _transposed(pull: Tensor, kernel: Tensor) -> Tensor:
    """Carry a gradient back through a convolution of stride 1 that keeps T, H and W."""
    padding = [side // 2 for side in kernel.shape[2:]]
    return F.conv3d(pull, kernel.transpose(0, 1).flip(2, 3, 4), padding=padding)
