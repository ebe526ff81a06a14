"""Evidence at any moment of a video, between the few moments that a network's maps speak of. Pure."""

from __future__ import annotations

import math

import numpy as np

from vedette_edge.manifest import Cells, InputSpec, OutputSpec
from vedette_edge.preprocess import cell_region, seen_region
from vedette_edge.types import Box, FloatArray
from vedette_train.explain.view import Times, View

__all__ = ["Moments", "layers_of_time"]

_STRONG = 0.995


class Moments:
    """A view, asked by time.

    Between the middles of two windows that show the same class their maps are blended; where they show
    different classes, the nearer one is taken. Evidence is cut at zero and divided by the strong evidence for
    its class in the whole video, so that a pale map means weak evidence.
    """

    def __init__(self, view: View, spec: InputSpec) -> None:
        """Ask `view`, whose network has the input `spec`."""
        self._view = view
        self._middles = view.middles
        self._positions = layers_of_time(view.maps.shape[1], spec.frames, view.cells)
        self._strong = {
            int(label): _strong(view.maps[view.shown == label]) for label in np.unique(view.shown)
        }
        rows, columns = view.maps.shape[2:]
        outputs = OutputSpec(
            logits=(view.probabilities.shape[1],),
            heatmap=(view.probabilities.shape[1], view.maps.shape[1], rows, columns),
            cells=view.cells,
        )
        self.seen: Box = seen_region(view.footage.width, view.footage.height, spec)
        self.region: Box = cell_region(self.seen, spec, outputs)

    def window(self, time: float) -> int:
        """Return the window that speaks of this time: the one whose middle is nearest."""
        return int(np.abs(self._middles - time).argmin())

    def evidence(self, time: float) -> FloatArray:
        """Return the evidence at this time, (H', W') float32 in 0..1, for the class of `window(time)`."""
        nearest = self.window(time)
        after = int(np.searchsorted(self._middles, time).clip(1, max(1, len(self._middles) - 1)))
        pair = (after - 1, min(after, len(self._middles) - 1))
        if self._view.shown[pair[0]] != self._view.shown[pair[1]]:
            pair = (nearest, nearest)
        first, second = self._middles[[*pair]]
        share = float(np.clip((time - first) / (second - first), 0, 1)) if second > first else 0.0
        raw = (1 - share) * self._map(pair[0], time) + share * self._map(pair[1], time)
        strong = self._strong[int(self._view.shown[nearest])]
        return np.asarray(np.clip(raw, 0.0, strong) / strong, dtype=np.float32)

    def _map(self, window: int, time: float) -> FloatArray:
        """Return the map of one window at a time, linear between its layers, constant outside."""
        times, maps = self._view.times[window], self._view.maps[window]
        place = np.interp(time, times, np.arange(len(times)))
        layer = float(np.interp(place, self._positions, np.arange(len(maps))))
        lower = int(layer)
        upper = min(lower + 1, len(maps) - 1)
        return np.asarray((1 - (layer - lower)) * maps[lower] + (layer - lower) * maps[upper])


def _strong(maps: FloatArray) -> float:
    """Return the evidence that only one in 200 of the places that speak for the class exceeds.

    Not the greatest: early layers have single places far above all others, beside which nothing would show.
    """
    speaking = maps[maps > 0]
    return float(np.quantile(speaking, _STRONG)) if len(speaking) else 1.0


def layers_of_time(layers: int, frames: int, cells: Cells | None) -> Times:
    """Return the frame of the clip, counted from 0, that each layer of a map in time speaks of: (T',).

    Networks that pool, whose cells lie in the middle of their pixels, do so in time too. Those with strided
    convolutions pad symmetrically in time, whatever they do in space: the first layer is at the first frame.
    """
    if cells is None or cells.first == cells.stride / 2:
        stride = frames / layers
        return np.asarray((stride - 1) / 2 + stride * np.arange(layers))
    return np.asarray(2.0 ** round(math.log2(frames / layers)) * np.arange(layers))
