"""Takes one stream from a network that is made for two, for ablations: it is trained and judged on a blank.

Flow becomes zero: nothing moves. The picture becomes white, not grey: grey is zero, and where the streams are
multiplied, layers without bias would turn a zero into a zero product that no training can move.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["blind"]

# Channels of the input (N, 5, T, H, W), and what the network sees there instead.
_BLANKS = {"rgb": (slice(0, 3), 1.0), "flow": (slice(3, 5), 0.0)}


def blind(network: nn.Module, stream: Literal["rgb", "flow"]) -> None:
    """Let `forward` and `forward_with_heatmap` see a blank in place of a stream; weights and names stay.

    Args:
        network: maps clips (N, 5, T, H, W), the picture first.
        stream: what it shall not see.
    """
    for name in ("forward", "forward_with_heatmap"):
        if method := getattr(network, name, None):
            setattr(network, name, _blinded(method, *_BLANKS[stream]))


def _blinded(method: Callable[[Tensor], Any], channels: slice, blank: float) -> Callable[[Tensor], Any]:
    @wraps(method)
    def seeing_less(x: Tensor) -> Any:
        x = x.clone()
        x[:, channels] = blank
        return method(x)

    return seeing_less
