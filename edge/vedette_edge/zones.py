"""How much of the evidence lies in which part of the picture. Pure.

A zone is a polygon in fractions of the picture, y downwards. A heatmap has few cells, so a cell is not simply
in or out: its evidence counts by the part of its area that lies in the zone, exactly. What the network saw
beyond the picture, such as the bars of a letterbox, belongs to no zone and is not part of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vedette_edge.heatmap import class_map
from vedette_edge.manifest import InputSpec, OutputSpec
from vedette_edge.preprocess import cell_region, seen_region
from vedette_edge.types import Box, FloatArray

__all__ = ["Zones", "area", "cell_areas", "crosses_itself"]

Point: TypeAlias = tuple[float, float]
Corners: TypeAlias = Sequence[Point]


class Zones:
    """The zones of one camera, as one model sees them."""

    def __init__(self, polygons: Mapping[str, Corners], spec: InputSpec, outputs: OutputSpec) -> None:
        """Look for evidence in `polygons`, by name.

        Args:
            polygons: corners as fractions of the picture.
            spec: the manifest's input, which says what part of a frame the network sees.
            outputs: the manifest's outputs, which say where the heatmap's cells lie.
        """
        self._polygons = polygons
        self._spec = spec
        self._outputs = outputs
        self._areas: tuple[tuple[int, ...], list[NDArray[np.float64]]] | None = None

    def shares(self, heatmap: FloatArray, label: int, width: int, height: int) -> dict[str, float]:
        """Return the share of the evidence for a class that lies in each zone, 0..1, by the zone's name.

        Args:
            heatmap: (K, T', H', W') float32, one clip of `Outputs.heatmap`.
            label: index of the class.
            width: of the picture, pixels.
            height: of the picture, pixels.
        """
        if not self._polygons:
            return {}
        evidence = class_map(heatmap, label)
        whole, *parts = self._areas_of(width, height, *evidence.shape)
        total = float((evidence * whole).sum())
        if total <= 0:
            return dict.fromkeys(self._polygons, 0.0)
        sums = (float((evidence * part).sum()) for part in parts)
        return {name: part / total for name, part in zip(self._polygons, sums, strict=True)}

    def _areas_of(self, *sizes: int) -> list[NDArray[np.float64]]:
        """Return the areas of the cells in the whole picture, then in each zone."""
        if self._areas is None or self._areas[0] != sizes:
            width, height, rows, columns = sizes
            seen = seen_region(width, height, self._spec)
            region = cell_region(seen, self._spec, self._outputs)
            visible = seen.grown(0.0)
            parts = [_rectangle(visible), *(_clipped(one, visible) for one in self._polygons.values())]
            self._areas = sizes, [cell_areas(part, region, rows, columns) for part in parts]
        return self._areas[1]


def cell_areas(corners: Corners, region: Box, rows: int, columns: int) -> NDArray[np.float64]:
    """Return the area that each cell of a grid shares with a polygon, (rows, columns), picture = 1.

    Args:
        corners: of the polygon; it may have dents, but its edges must not cross.
        region: what the cells divide evenly.
        rows: of cells.
        columns: of cells.
    """
    areas = np.zeros((rows, columns))
    for row in range(rows):
        top = region.y + region.h * row / rows
        strip = _between(corners, 1, top, top + region.h / rows)
        for column in range(columns if strip else 0):
            left = region.x + region.w * column / columns
            areas[row, column] = area(_between(strip, 0, left, left + region.w / columns))
    return areas


def area(corners: Corners) -> float:
    """Return the area of a polygon whose edges do not cross; 0 for fewer than three corners."""
    following = [*corners[1:], *corners[:1]]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(corners, following, strict=True))) / 2


def crosses_itself(corners: Corners) -> bool:
    """Tell whether two edges of a polygon that are not neighbours meet."""
    edges = list(zip(corners, [*corners[1:], *corners[:1]], strict=True))
    last = len(edges) - 1
    return any(
        _meet(*edges[one], *edges[other])
        for one, other in combinations(range(len(edges)), 2)
        if other - one > 1 and (one, other) != (0, last)
    )


def _between(corners: Corners, axis: int, low: float, high: float) -> Corners:
    """Return the part of a polygon with low <= coordinate <= high [Sutherland and Hodgman 1974].

    Parts that fall asunder stay tied by edges along the cut, which run both ways and so add no area.
    """
    above = _cut(corners, lambda point: point[axis] - low)
    return _cut(above, lambda point: high - point[axis])


def _cut(corners: Corners, inside: Callable[[Point], float]) -> Corners:
    """Return the part of a polygon where a linear function is not negative."""
    kept: list[Point] = []
    for index, point in enumerate(corners):
        before = corners[index - 1]
        here, there = inside(point), inside(before)
        if (here < 0) != (there < 0):
            part = there / (there - here)
            kept.append(
                (before[0] + part * (point[0] - before[0]), before[1] + part * (point[1] - before[1]))
            )
        if here >= 0:
            kept.append(point)
    return kept


def _clipped(corners: Corners, box: Box) -> Corners:
    across = _between(corners, 0, box.x, box.x + box.w)
    return _between(across, 1, box.y, box.y + box.h)


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Tell whether the segments ab and cd have a point in common."""
    sides = [_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)]
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(side == 0 and _within(*points) for side, points in zip(sides, ends, strict=True))


def _side(a: Point, b: Point, point: Point) -> float:
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def _within(a: Point, b: Point, point: Point) -> bool:
    """Tell whether a point on the line through a and b lies between them."""
    return all(min(a[i], b[i]) <= point[i] <= max(a[i], b[i]) for i in (0, 1))


def _rectangle(box: Box) -> Corners:
    right, bottom = box.x + box.w, box.y + box.h
    return ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom))
