"""Paints the places where the figures stand: a room, a hall, a park, a street.

Each painter takes a `Canvas` whose coordinates are fractions of the picture (x to the right, y down) and the
height at which wall and floor meet; what it draws depends on the generator alone. Pictures are painted at
twice the size and shrunk, so that edges are smooth.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]
Point = tuple[float, float]

_OVERSAMPLE: Final = 2
_SHIFT: Final = 4


class Canvas:
    """A picture addressed in fractions of its width and height.

    Args:
        width: Width of the finished picture, pixels.
        height: Height of the finished picture, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        """Begin with a black picture."""
        self.size = (width, height)
        self.pixels: Image = np.zeros((height * _OVERSAMPLE, width * _OVERSAMPLE, 3), np.uint8)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        corners = np.array(points) * self._scale() * (1 << _SHIFT)
        cv2.fillPoly(self.pixels, [corners.round().astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def blob(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse."""
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        self.polygon([(x + rx * np.cos(a), y + ry * np.sin(a)) for a in turn], colour)

    def fade(self, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
        """Fill the rows from y0 to y1 with a gradient."""
        first, last = (round(y * self.pixels.shape[0]) for y in (y0, y1))
        share = np.linspace(0, 1, max(1, last - first))[:, None, None]
        self.pixels[first:last] = np.asarray(top) * (1 - share) + np.asarray(bottom) * share

    def dim(self, x: float, y: float, rx: float, ry: float, depth: float) -> None:
        """Lay a soft elliptic shadow over the picture; depth is the share of light taken from its middle."""
        height, width = self.pixels.shape[:2]
        left, right = (min(width, max(0, round((x + side * rx) * width))) for side in (-1, 1))
        top, bottom = (min(height, max(0, round((y + side * ry) * height))) for side in (-1, 1))
        across = (np.arange(left, right)[None, :] / width - x) / rx
        down = (np.arange(top, bottom)[:, None] / height - y) / ry
        share = 1 - depth * np.clip(1 - across**2 - down**2, 0, 1) ** 0.7
        self.pixels[top:bottom, left:right] = self.pixels[top:bottom, left:right] * share[..., None]

    def finished(self) -> Image:
        """The picture at its own size, (height, width, 3) uint8 BGR."""
        return np.asarray(cv2.resize(self.pixels, self.size, interpolation=cv2.INTER_AREA), np.uint8)

    def _scale(self) -> NDArray[np.float64]:
        height, width = self.pixels.shape[:2]
        return np.array([width, height], np.float64)


def paint(rng: np.random.Generator, width: int, height: int, base: float) -> Image:
    """Paint one place.

    Args:
        rng: The only source of chance.
        width: Pixels.
        height: Pixels.
        base: Where wall and floor meet, as a fraction of the height.

    Returns:
        (height, width, 3) uint8, BGR.
    """
    canvas = Canvas(width, height)
    _PLACES[int(rng.integers(len(_PLACES)))](canvas, rng, base)
    _mottle(canvas, rng)
    return canvas.finished()


def _room(canvas: Canvas, rng: np.random.Generator, base: float) -> None:
    wall = _tint(rng, saturation=(8, 90), value=(120, 235))
    canvas.fade(0, base, _shade(wall, 0.9), wall)
    _floor(
        canvas,
        rng,
        base,
        _tint(rng, hue=(8, 24), saturation=(20, 120), value=(80, 190)),
        planks=rng.uniform() < 0.6,
    )
    canvas.box(0, base - 0.022, 1, base, _shade(wall, 1.25 if sum(wall) < 450 else 0.75))
    for x in _slots(rng, int(rng.integers(2, 5))):
        _WALL_THINGS[int(rng.integers(len(_WALL_THINGS)))](canvas, rng, x, base)
    for x in _slots(rng, int(rng.integers(1, 4))):
        _furniture(canvas, rng, x, base)


def _hall(canvas: Canvas, rng: np.random.Generator, base: float) -> None:
    wall = _tint(rng, saturation=(0, 45), value=(90, 190))
    canvas.fade(0, base, _shade(wall, 0.7), wall)
    for x in np.arange(rng.uniform(0, 0.05), 1, rng.uniform(0.03, 0.08)):
        canvas.box(x, 0, x + 0.004, base, _shade(wall, 0.87))
    band = _tint(rng, saturation=(80, 200), value=(90, 200))
    canvas.box(0, base * 0.8, 1, base * 0.84, band)
    _floor(canvas, rng, base, _tint(rng, saturation=(0, 60), value=(90, 190)), planks=False)
    for x in _slots(rng, int(rng.integers(1, 3))):
        _shelves(canvas, rng, x, base)
    for x in _slots(rng, int(rng.integers(0, 3))):
        _furniture(canvas, rng, x, base)


def _park(canvas: Canvas, rng: np.random.Generator, base: float) -> None:
    sky = _tint(rng, hue=(95, 115), saturation=(30, 130), value=(180, 250))
    canvas.fade(0, base, sky, _shade(sky, 1.2))
    for _ in range(int(rng.integers(2, 6))):
        x, y, size = rng.uniform(0, 1), rng.uniform(0.03, base * 0.5), rng.uniform(0.02, 0.06)
        for dx in (-1.2, 0, 1.1):
            canvas.blob(x + dx * size, y, size * 1.4, size * 0.6, (245, 243, 240))
    far = _tint(rng, hue=(40, 90), saturation=(30, 90), value=(90, 150))
    ridge = base - 0.05 - 0.07 * np.abs(np.sin(np.linspace(rng.uniform(0, 6), rng.uniform(7, 12), 40)))
    canvas.polygon([(0, base), *zip(np.linspace(0, 1, 40), ridge, strict=True), (1, base)], far)
    grass = _tint(rng, hue=(32, 55), saturation=(70, 150), value=(90, 170))
    canvas.fade(base, 1, _shade(grass, 1.15), _shade(grass, 0.85))
    path, foot = _tint(rng, hue=(10, 25), saturation=(15, 70), value=(130, 200)), rng.uniform(0, 0.6)
    canvas.polygon([(foot, 1), (foot + 0.6, 1), (foot + 0.34, base), (foot + 0.28, base)], path)
    for x in _slots(rng, int(rng.integers(2, 5))):
        _tree(canvas, rng, x, base)


def _street(canvas: Canvas, rng: np.random.Generator, base: float) -> None:
    sky = _tint(rng, hue=(95, 115), saturation=(10, 90), value=(170, 245))
    canvas.fade(0, base, sky, _shade(sky, 1.15))
    x = -rng.uniform(0, 0.2)
    while x < 1:
        wide = rng.uniform(0.2, 0.45)
        _house(canvas, rng, x, x + wide, base)
        x += wide
    ground = _tint(rng, saturation=(0, 30), value=(90, 160))
    _floor(canvas, rng, base, ground, planks=False)
    canvas.box(0, base, 1, base + 0.035, _shade(ground, 1.18))
    for post in np.arange(rng.uniform(0, 0.2), 1, rng.uniform(0.14, 0.3)):
        canvas.box(post, base - 0.13, post + 0.008, base + 0.02, (60, 60, 62))


def _floor(canvas: Canvas, rng: np.random.Generator, base: float, colour: Colour, *, planks: bool) -> None:
    """Planks or tiles in perspective: every pixel below the wall looks its own board up."""
    height, width = canvas.pixels.shape[:2]
    first = round(base * height)
    rows = np.arange(first, height)[:, None] / height
    away = 1.0 / (rows - base + rng.uniform(0.1, 0.2))
    across = (np.arange(width)[None, :] / width - rng.uniform(0.2, 0.8)) * away
    column = np.floor(across * rng.uniform(1.2, 3.0)).astype(np.int64)
    row = np.floor(
        away * (rng.uniform(0.2, 0.6) if planks else rng.uniform(0.9, 1.6)) + (0.37 * column if planks else 0)
    )
    tones = 1 + rng.uniform(0.03, 0.11) * rng.uniform(-1, 1, 97)
    tone = tones[(column * 31 + row.astype(np.int64) * 17) % 97]
    light = np.linspace(0.9, 1.06, height - first)[:, None]
    canvas.pixels[first:] = np.clip(np.array(colour) * (tone * light)[..., None], 0, 255)


def _window(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    wide, top, bottom = rng.uniform(0.07, 0.11), base * rng.uniform(0.12, 0.25), base * rng.uniform(0.55, 0.7)
    frame, glass = (
        _tint(rng, saturation=(0, 40), value=(190, 250)),
        _tint(rng, hue=(90, 115), saturation=(20, 110), value=(170, 250)),
    )
    canvas.box(x - wide - 0.012, top - 0.016, x + wide + 0.012, bottom + 0.016, frame)
    canvas.box(x - wide, top, x + wide, bottom, glass)
    canvas.polygon(
        [(x - wide, bottom), (x - wide, top + 0.1), (x, top), (x + wide * 0.5, top)], _shade(glass, 1.1)
    )
    canvas.box(x - 0.006, top, x + 0.006, bottom, frame)
    canvas.box(x - wide, (top + bottom) / 2 - 0.007, x + wide, (top + bottom) / 2 + 0.007, frame)


def _door(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    wood, top = _tint(rng, hue=(6, 25), saturation=(20, 140), value=(70, 210)), base * rng.uniform(0.1, 0.25)
    wide = (base - top) * rng.uniform(0.14, 0.18)
    canvas.box(x - wide - 0.012, top - 0.016, x + wide + 0.012, base, _shade(wood, 0.72))
    canvas.box(x - wide, top, x + wide, base, wood)
    for y0, y1 in ((0.08, 0.42), (0.52, 0.92)):
        canvas.box(
            x - wide * 0.65,
            top + (base - top) * y0,
            x + wide * 0.65,
            top + (base - top) * y1,
            _shade(wood, 0.88),
        )
    canvas.blob(x + wide * 0.82, top + (base - top) * 0.52, 0.006, 0.008, (120, 200, 220))


def _picture(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    wide, high, y = rng.uniform(0.04, 0.09), rng.uniform(0.05, 0.09), base * rng.uniform(0.3, 0.5)
    canvas.box(
        x - wide - 0.008, y - high - 0.011, x + wide + 0.008, y + high + 0.011, _tint(rng, value=(30, 110))
    )
    canvas.box(x - wide, y - high, x + wide, y + high, _tint(rng, saturation=(20, 120), value=(150, 240)))
    for _ in range(4):
        cx, cy = x + wide * rng.uniform(-0.6, 0.6), y + high * rng.uniform(-0.5, 0.5)
        canvas.blob(
            cx,
            cy,
            wide * rng.uniform(0.1, 0.35),
            high * rng.uniform(0.1, 0.4),
            _tint(rng, saturation=(40, 200)),
        )


def _furniture(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    """A box with a top, a front and shelves or drawers: sideboard, crate or bench."""
    colour = _tint(rng, hue=(5, 130), saturation=(15, 140), value=(60, 190))
    wide, high, down = rng.uniform(0.06, 0.14), rng.uniform(0.08, 0.24), rng.uniform(0.01, 0.035)
    top = base + down - high
    canvas.dim(x, base + down, wide * 1.25, 0.05, 0.55)
    canvas.box(x - wide, top, x + wide, base + down, colour)
    slant = wide * 0.88
    canvas.polygon(
        [(x - wide, top), (x + wide, top), (x + slant, top - 0.03), (x - slant, top - 0.03)],
        _shade(colour, 1.25),
    )
    parts = int(rng.integers(1, 4))
    for part in range(parts):
        left = x - wide + 2 * wide * part / parts
        canvas.box(
            left + 0.008,
            top + 0.015,
            left + 2 * wide / parts - 0.008,
            base + down - 0.015,
            _shade(colour, 0.86),
        )


def _shelves(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    wide, top, bottom = rng.uniform(0.1, 0.18), base * rng.uniform(0.2, 0.4), base + 0.02
    steel = _tint(rng, saturation=(0, 150), value=(60, 140))
    canvas.box(x - wide, top, x + wide, bottom, _shade(steel, 0.45))
    levels = int(rng.integers(2, 5))
    for level in range(levels):
        y0, y1 = (top + (bottom - top) * (level + share) / levels for share in (0, 1))
        left = x - wide + 0.01
        while left < x + wide - 0.05:
            size = rng.uniform(0.03, 0.07)
            canvas.box(
                left,
                y1 - (y1 - y0) * rng.uniform(0.4, 0.85),
                left + size,
                y1,
                _tint(rng, saturation=(20, 150), value=(90, 200)),
            )
            left += size + rng.uniform(0.002, 0.02)
        canvas.box(x - wide, y1 - 0.012, x + wide, y1, steel)
    for side in (x - wide, x + wide - 0.01):
        canvas.box(side, top - 0.02, side + 0.01, bottom, steel)


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    leaf, size, y = (
        _tint(rng, hue=(28, 65), saturation=(60, 170), value=(55, 140)),
        rng.uniform(0.07, 0.13),
        base * rng.uniform(0.35, 0.6),
    )
    canvas.dim(x, base + 0.02, size * 1.2, 0.045, 0.4)
    canvas.box(x - size * 0.1, y, x + size * 0.1, base + 0.02, (45, 62, 82))
    for layer in (0.72, 0.88, 1.04):
        for _ in range(7):
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.75) * size
            canvas.blob(
                x + far * np.cos(angle) - (layer - 0.88) * size,
                y + far * np.sin(angle) * 1.3 - (layer - 0.88) * size,
                size * 0.5 * (1.3 - 0.45 * layer),
                size * 0.66 * (1.3 - 0.45 * layer),
                _shade(leaf, layer * rng.uniform(0.92, 1.08)),
            )


def _house(canvas: Canvas, rng: np.random.Generator, x0: float, x1: float, base: float) -> None:
    wall, top = _tint(rng, saturation=(10, 110), value=(90, 220)), base * rng.uniform(0.02, 0.3)
    canvas.box(x0, top, x1, base, wall)
    canvas.box(x0, top, x1, top + 0.02, _shade(wall, 0.7))
    columns, rows = max(1, round((x1 - x0) / 0.1)), int(rng.integers(2, 4))
    glass = _tint(rng, hue=(90, 115), saturation=(30, 120), value=(50, 150))
    for column in range(columns):
        for row in range(rows):
            x = x0 + (x1 - x0) * (column + 0.5) / columns
            y = top + (base - top) * (row + 0.55) / (rows + 0.15)
            half = (base - top) / rows * 0.27
            canvas.box(x - 0.03, y - half - 0.01, x + 0.03, y + half + 0.01, _shade(wall, 1.2))
            canvas.box(x - 0.024, y - half, x + 0.024, y + half, _shade(glass, rng.uniform(0.8, 1.4)))


def _mottle(canvas: Canvas, rng: np.random.Generator) -> None:
    """Blurred noise at three scales: stains, plaster, grain."""
    height, width = canvas.pixels.shape[:2]
    tone = np.ones((height, width), np.float32)
    for cells, depth in ((6, 0.06), (24, 0.04), (90, 0.05)):
        grid = rng.uniform(-1, 1, (cells * 3 // 4, cells)).astype(np.float32)
        tone += (
            depth
            * rng.uniform(0.3, 1.0)
            * np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))
        )
    canvas.pixels = np.clip(canvas.pixels * tone[..., None], 0, 255).astype(np.uint8)


def _slots(rng: np.random.Generator, count: int) -> list[float]:
    """Places along the wall, well spread, not overlapping much."""
    return [(index + rng.uniform(0.3, 0.7)) / count for index in range(count)]


def _tint(
    rng: np.random.Generator, hue: Point = (0, 180), saturation: Point = (20, 160), value: Point = (80, 220)
) -> Colour:
    hsv = np.array([[[rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value)]]], np.uint8)
    b, g, r = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.float64)[0, 0]
    return float(b), float(g), float(r)


def _shade(colour: Colour, by: float) -> Colour:
    b, g, r = (min(255.0, channel * by) for channel in colour)
    return b, g, r


_WALL_THINGS: Final = (_window, _window, _door, _picture, _picture)
_PLACES: Final[tuple[Callable[[Canvas, np.random.Generator, float], None], ...]] = (
    _room,
    _room,
    _hall,
    _park,
    _street,
)
