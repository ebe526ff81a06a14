"""Who is in the picture: a body and what it wears, drawn once for each scene.

Colours are BGR, 0 to 255, as OpenCV wants them.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vedette_train.data.synthetic.skeleton import Body

Colour = tuple[float, float, float]

_SKIN: Final = (
    (152, 186, 226),
    (136, 178, 222),
    (110, 150, 200),
    (85, 122, 176),
    (62, 92, 140),
    (45, 66, 104),
)
_HAIR: Final = ((30, 30, 34), (36, 48, 66), (44, 72, 110), (96, 150, 190), (120, 120, 125), (40, 62, 132))
_SHOES: Final = ((45, 45, 48), (235, 235, 235), (60, 60, 190), (170, 110, 50), (60, 160, 210))
_CONTRAST: Final = 100.0  # least distance of shirt and background, so that nobody melts into a wall


@dataclass(frozen=True)
class Person:
    """A body and its looks.

    Attributes:
        body: Lengths and build.
        skin: Colour of face, hands and bare limbs.
        hair: Colour of the hair.
        shirt: Colour of the shirt.
        trousers: Colour of the trousers.
        shoes: Colour of the shoes.
        long_sleeves: Whether the shirt covers the forearms.
        long_trousers: Whether the trousers cover the shins.
        hair_volume: Size of the hair, 0.9 (cropped) to 1.15.
        long_hair: Whether the hair falls to the neck.
    """

    body: Body
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool
    hair_volume: float
    long_hair: bool


def random_person(rng: np.random.Generator, background: Colour) -> Person:
    """Draw a person who can be told from the background.

    Args:
        rng: The only source of chance.
        background: What is behind the person, BGR.

    Returns:
        The person.
    """
    return Person(
        body=_random_body(rng),
        skin=_pick(rng, _SKIN),
        hair=_pick(rng, _HAIR),
        shirt=_cloth(rng, background),
        trousers=_cloth(rng, background, bright=0.7),
        shoes=_pick(rng, _SHOES),
        long_sleeves=bool(rng.uniform() < 0.4),
        long_trousers=bool(rng.uniform() < 0.65),
        hair_volume=float(rng.uniform(0.92, 1.12)),
        long_hair=bool(rng.uniform() < 0.35),
    )


def _random_body(rng: np.random.Generator) -> Body:
    legs = rng.uniform(0.95, 1.05)
    arms = rng.uniform(0.94, 1.06)
    build = rng.uniform(0.85, 1.25)
    return Body(
        torso=0.29 - 0.48 * (legs - 1),
        upper_arm=0.165 * arms,
        forearm=0.17 * arms,
        thigh=0.245 * legs,
        shin=0.235 * legs,
        shoulders=0.1 * rng.uniform(0.92, 1.1) * build**0.4,
        hips=0.058 * rng.uniform(0.92, 1.12) * build**0.4,
        build=build,
    )


def _pick(rng: np.random.Generator, palette: tuple[tuple[int, int, int], ...]) -> Colour:
    b, g, r = np.array(palette[int(rng.integers(len(palette)))]) * rng.uniform(0.93, 1.07, 3)
    return float(b), float(g), float(r)


def _cloth(rng: np.random.Generator, background: Colour, bright: float = 1.0) -> Colour:
    """A colour of cloth far enough from the background; the best of a few draws where none is."""
    hsv = np.stack(
        [rng.uniform(0, 180, 12), rng.uniform(20, 190, 12), rng.uniform(90, 250, 12) * bright], axis=1
    )
    colours = np.asarray(cv2.cvtColor(hsv.astype(np.uint8)[None], cv2.COLOR_HSV2BGR), np.float64)[0]
    distance = np.linalg.norm(colours - np.array(background), axis=1)
    far = np.flatnonzero(distance > _CONTRAST)
    b, g, r = colours[far[0] if far.size else int(distance.argmax())]
    return float(b), float(g), float(r)
