"""The place: a backdrop, where the floor is, how the light falls, and something small that moves by itself.

A scene is drawn once and then only read: `Scene.picture` gives a fresh picture without the figure,
`random_view` finds room for a figure in which none of the motions leaves the frame.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_train.data.synthetic.backdrop import Colour, Image, paint
from vedette_train.data.synthetic.exercises import DROP, HALF_WIDTH, REACH
from vedette_train.data.synthetic.render import View

Distraction = Callable[[Image, float], None]

MARGIN_SHARE: Final = 0.03  # of the frame's height, painted around the frame for the camera to shake in

_SMALLEST, _TALLEST = 0.5, 0.73
_SHORTEST_FLOOR: Final = 0.05  # wall may not reach lower than this above the feet, share of the height


@dataclass(frozen=True)
class Scene:
    """A place without people.

    Attributes:
        backdrop: (H + 2 margin, W + 2 margin, 3) uint8, BGR.
        margin: Pixels painted around the frame.
        base: Where wall and floor meet, share of the frame's height.
        light: Direction to the light in the picture, length 1.
        shadow: See `View.shadow`.
        shadow_depth: See `View.shadow_depth`.
        distraction: Draws what moves besides the figure, at a time in seconds.
    """

    backdrop: Image
    margin: int
    base: float
    light: tuple[float, float]
    shadow: tuple[float, float]
    shadow_depth: float
    distraction: Distraction

    def picture(self, t: float) -> Image:
        """The scene without a figure, margins included.

        Args:
            t: Seconds.

        Returns:
            A fresh array, shape and order of `backdrop`.
        """
        picture = self.backdrop.copy()
        self.distraction(picture, t)
        return picture

    def behind(self) -> Colour:
        """Mean colour (BGR) of the part where figures usually are."""
        height = self.backdrop.shape[0]
        b, g, r = self.backdrop[int(0.3 * height) : int(0.8 * height)].mean(axis=(0, 1))
        return float(b), float(g), float(r)


def random_scene(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Draw a place.

    Args:
        rng: The only source of chance.
        size: Width and height of the frame, pixels.

    Returns:
        The scene.
    """
    width, height = size
    margin = math.ceil(MARGIN_SHARE * height) + 1
    base = float(rng.uniform(0.42, 0.68))
    backdrop = paint(rng, width + 2 * margin, height + 2 * margin, base)
    angle = rng.uniform(-0.9, 0.9)
    return Scene(
        backdrop=backdrop,
        margin=margin,
        base=base,
        light=(math.sin(angle), -math.cos(angle)),
        shadow=(-0.55 * math.sin(angle), float(rng.uniform(-0.16, 0.1))),
        shadow_depth=float(rng.uniform(0.12, 0.5)),
        distraction=_DISTRACTIONS[int(rng.integers(len(_DISTRACTIONS)))](rng, backdrop, base),
    )


def random_view(rng: np.random.Generator, scene: Scene, size: tuple[int, int]) -> View:
    """Find a place for a figure.

    Height and place do not depend on what the figure is going to do: they give no hint of the label.

    Args:
        rng: The only source of chance.
        scene: The place.
        size: Width and height of the frame, pixels.

    Returns:
        The view, in pixels of the picture with its margins.
    """
    width, height = size
    slack = 0.02 * height
    roomiest = min(
        (height - 2 * slack) / (REACH + DROP), (width - 2 * slack) / (2 * HALF_WIDTH), _TALLEST * height
    )
    tall = float(rng.uniform(min(_SMALLEST * height, roomiest), roomiest))
    highest = max(REACH * tall + slack, (scene.base + _SHORTEST_FLOOR) * height)
    reach = min(HALF_WIDTH * tall + slack, width / 2)
    x = rng.uniform(reach, width - reach)
    lowest = height - DROP * tall - slack
    y = rng.uniform(min(highest, lowest), lowest)
    return View(
        x=float(x) + scene.margin,
        y=float(y) + scene.margin,
        height=tall,
        tilt=0.06 + 0.2 * (float(y) / height - 0.5),
        light=scene.light,
        shadow=scene.shadow,
        shadow_depth=scene.shadow_depth,
    )


def _nothing(_rng: np.random.Generator, _backdrop: Image, _base: float) -> Distraction:
    return lambda _picture, _t: None


def _plant(rng: np.random.Generator, backdrop: Image, base: float) -> Distraction:
    """A potted plant whose leaves sway."""
    height, width = backdrop.shape[:2]
    foot = np.array(
        [width * rng.choice([rng.uniform(0.06, 0.2), rng.uniform(0.8, 0.94)]), height * (base + 0.05)]
    )
    tall, pace, bend = height * rng.uniform(0.16, 0.3), rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.16)
    leaves = list(zip(rng.uniform(-1, 1, 9), rng.uniform(0.7, 1.0, 9), rng.uniform(0, 6, 9), strict=True))
    green = np.array([rng.uniform(30, 70), rng.uniform(90, 150), rng.uniform(30, 90)])

    def draw(picture: Image, t: float) -> None:
        for index, (lean, length, start) in enumerate(leaves):
            tip = 0.8 * lean + bend * math.sin(2 * math.pi * pace * t + start)
            colour = [float(channel) for channel in green * (0.75 + 0.05 * index)]
            _leaf(picture, foot - (0, 0.2 * tall), tip, length * tall, colour)
        pot = foot + np.array([[-0.13, -0.25], [0.13, -0.25], [0.09, 0.0], [-0.09, 0.0]]) * tall
        cv2.fillConvexPoly(picture, (pot * 16).astype(np.int32), (70, 95, 150), cv2.LINE_AA, 4)

    return draw


def _leaf(
    picture: Image, foot: NDArray[np.float64], angle: float, length: float, colour: list[float]
) -> None:
    """A slender blade that droops to the side it leans to."""
    share = np.linspace(0, 1, 7)
    turn = angle * (0.4 + share)
    spine = foot + length * np.stack([share * np.sin(turn), -share * np.cos(turn)], axis=1)
    half = (
        0.055
        * length
        * np.sin(np.pi * (0.12 + 0.88 * share))[:, None]
        * np.array([math.cos(angle), math.sin(angle)])
    )
    outline = np.concatenate([spine + half, (spine - half)[::-1]])
    cv2.fillPoly(picture, [(outline * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _screen(rng: np.random.Generator, backdrop: Image, base: float) -> Distraction:
    """A display on the wall whose picture changes."""
    height, width = backdrop.shape[:2]
    wide = round(width * rng.uniform(0.1, 0.18))
    high = round(wide * 0.6)
    x, y = round(rng.uniform(0.05, 0.9) * (width - wide)), round(height * base * rng.uniform(0.15, 0.4))
    pace, start = rng.uniform(0.3, 1.5, 3), rng.uniform(0, 6, 3)

    def draw(picture: Image, t: float) -> None:
        cv2.rectangle(picture, (x - 3, y - 3), (x + wide + 2, y + high + 2), (28, 26, 26), cv2.FILLED)
        glow = 130 + 55 * np.sin(2 * np.pi * pace * t + start)
        picture[y : y + high, x : x + wide] = glow
        bar = x + round((wide - 6) * (0.5 + 0.5 * math.sin(2 * math.pi * pace[0] * t)))
        cv2.rectangle(
            picture, (bar, y + high // 4), (bar + 5, y + high - high // 4), glow[::-1].tolist(), cv2.FILLED
        )

    return draw


def _passing_shadow(rng: np.random.Generator, backdrop: Image, _base: float) -> Distraction:
    """The soft shadow of something outside the frame: a cloud, a branch, a passer-by."""
    height, width = backdrop.shape[:2]
    period, start, depth = rng.uniform(3, 7), rng.uniform(), rng.uniform(0.15, 0.4)
    wide = round(width * rng.uniform(0.15, 0.4))
    profile = 1 - depth * np.sin(np.linspace(0, np.pi, wide)) ** 2
    band = np.tile((profile * 255).astype(np.uint8)[None, :, None], (height, 1, 3))

    def draw(picture: Image, t: float) -> None:
        left = round(((t / period + start) % 1.0) * (width + wide)) - wide
        first, last = max(0, left), min(width, left + wide)
        if first < last:
            cut = picture[:, first:last]
            cut[:] = cv2.multiply(cut, band[:, first - left : last - left], scale=1 / 255)

    return draw


_DISTRACTIONS: Final[tuple[Callable[[np.random.Generator, Image, float], Distraction], ...]] = (
    _nothing,
    _plant,
    _plant,
    _screen,
    _passing_shadow,
)
