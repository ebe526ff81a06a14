"""An articulated figure: limbs of given lengths, posed by angles, standing on a floor.

Promises, in order:

1. A `Pose` is plain numbers, so two poses blend by interpolating them (`blend`).
2. `joints` turns body and pose into points in space; the lowest point rests on the floor (height 0), whatever
   the angles.
3. Lengths are in body heights: an upright figure is about 1 tall, so the caller alone decides how many pixels
   it gets.

Space: `x` to the picture's right, `y` towards the viewer, `z` up; the origin is the place on the floor where
the figure stands. Each segment has two angles: `flex` (forwards, in the plane of walking) and `spread`
(outwards, to its own side); both are taken from the vertical and not from the parent segment, so a pose can
be written down without adding up.

Example:
    >>> points = joints(Body(), pose({"l_upper_arm": (0, 90)}))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Angles = tuple[float, float]

SEGMENTS: Final = (
    *("torso", "head", "l_upper_arm", "l_forearm", "r_upper_arm", "r_forearm"),
    *("l_thigh", "l_shin", "l_foot", "r_thigh", "r_shin", "r_foot"),
)
JOINTS: Final = (
    *(
        "pelvis",
        "waist",
        "neck",
        "head",
        "l_shoulder",
        "l_elbow",
        "l_hand",
        "r_shoulder",
        "r_elbow",
        "r_hand",
    ),
    *("l_hip", "l_knee", "l_ankle", "l_toe", "r_hip", "r_knee", "r_ankle", "r_toe"),
)
JOINT: Final = {name: index for index, name in enumerate(JOINTS)}

_SEGMENT: Final = {name: index for index, name in enumerate(SEGMENTS)}
_SIDE: Final = np.array(
    [0 if "_" not in name else 1 if name[0] == "l" else -1 for name in SEGMENTS], np.float64
)
_UPWARDS: Final = np.array([name in ("torso", "head") for name in SEGMENTS])
_REST: Final = {"l_foot": (78.0, 12.0), "r_foot": (78.0, 12.0)}
_SOLE: Final = 0.022  # how far flesh and shoe reach below the points that touch the floor


@dataclass(frozen=True)
class Body:
    """Lengths of a figure, in body heights.

    Attributes:
        torso: From the hips to the line of the shoulders.
        head: From the line of the shoulders to the middle of the head.
        upper_arm: From shoulder to elbow.
        forearm: From elbow to the middle of the hand.
        thigh: From hip to knee.
        shin: From knee to ankle.
        foot: From ankle to the ball of the foot.
        shoulders: Half the distance between the shoulders.
        hips: Half the distance between the hips.
        build: Thickness of trunk and limbs, 1 for a figure of middling build.
    """

    torso: float = 0.29
    head: float = 0.12
    upper_arm: float = 0.165
    forearm: float = 0.17
    thigh: float = 0.245
    shin: float = 0.235
    foot: float = 0.085
    shoulders: float = 0.105
    hips: float = 0.058
    build: float = 1.0

    @property
    def leg(self) -> float:
        """Length of a straight leg from hip to ankle, in body heights."""
        return self.thigh + self.shin


@dataclass(frozen=True)
class Pose:
    """What a figure does at one instant.

    Attributes:
        segments: (12, 2) float64, flex and spread of each of `SEGMENTS`, radians.
        turn: Rotation about the vertical, radians; 0 faces the viewer, positive turns to the picture's right.
        hop: Height of the lowest point above the floor, body heights.
        planted: 1 keeps the feet where they are while the hips move, 0 keeps the hips.
        ahead: Shift along the direction that the figure faces, body heights.
        aside: Shift to the picture's right, body heights.
    """

    segments: Array
    turn: float = 0.0
    hop: float = 0.0
    planted: float = 1.0
    ahead: float = 0.0
    aside: float = 0.0


def pose(
    segments: Mapping[str, Angles],
    *,
    turn: float = 0.0,
    hop: float = 0.0,
    planted: float = 1.0,
    ahead: float = 0.0,
    aside: float = 0.0,
) -> Pose:
    """Write a pose down.

    Args:
        segments: Flex and spread in degrees of the segments that do not hang straight down.
        turn: Rotation about the vertical, degrees.
        hop: See `Pose`.
        planted: See `Pose`.
        ahead: See `Pose`.
        aside: See `Pose`.

    Returns:
        The pose.

    Raises:
        KeyError: A name is not one of `SEGMENTS`.
    """
    angles = np.zeros((len(SEGMENTS), 2))
    for name, value in {**_REST, **segments}.items():
        angles[_SEGMENT[name]] = value
    return Pose(np.deg2rad(angles), np.deg2rad(turn), hop, planted, ahead, aside)


def blend(a: Pose, b: Pose, weight: float) -> Pose:
    """Interpolate between two poses.

    Args:
        a: The pose at weight 0.
        b: The pose at weight 1.
        weight: 0 to 1.

    Returns:
        The pose between them.
    """
    rest = 1.0 - weight
    return Pose(
        segments=a.segments * rest + b.segments * weight,
        turn=a.turn * rest + b.turn * weight,
        hop=a.hop * rest + b.hop * weight,
        planted=a.planted * rest + b.planted * weight,
        ahead=a.ahead * rest + b.ahead * weight,
        aside=a.aside * rest + b.aside * weight,
    )


def joints(body: Body, at: Pose) -> Array:
    """Where the joints are.

    Args:
        body: The lengths.
        at: The pose.

    Returns:
        (18, 3) float64, x, y, z of each of `JOINTS` in body heights; the lowest is `hop` above the floor.
    """
    points = _chain(body, _directions(at.segments), float(at.segments[0, 1]))
    feet = points[[JOINT["l_ankle"], JOINT["r_ankle"]], :2].mean(axis=0)
    points[:, :2] -= at.planted * feet
    points[:, 1] += at.ahead
    points = points @ _turned(at.turn)
    points[:, 0] += at.aside
    points[:, 2] += _SOLE + at.hop - points[:, 2].min()
    return points


def _directions(segments: Array) -> Array:
    """Unit vectors (12, 3) of the segments in the body's own axes; torso and head point up, others down."""
    flex, spread = segments[:, 0], segments[:, 1]
    up = np.where(_UPWARDS, 1.0, -1.0)
    side = np.where(_UPWARDS, 1.0, _SIDE)
    return np.stack(
        [side * np.sin(spread), np.cos(spread) * np.sin(flex), up * np.cos(spread) * np.cos(flex)], axis=1
    )


def _chain(body: Body, along: Array, lean: float) -> Array:
    """Points (18, 3) of the joints with the hips at the origin."""
    points = np.zeros((len(JOINTS), 3))
    across = np.array([np.cos(lean), 0.0, -np.sin(lean)])
    trunk = body.torso * along[_SEGMENT["torso"]]
    points[1], points[2] = 0.42 * trunk, trunk
    points[3] = trunk + body.head * along[_SEGMENT["head"]]
    for side, arm, leg in ((1.0, 4, 10), (-1.0, 7, 14)):
        upper = _SEGMENT["l_upper_arm" if side > 0 else "r_upper_arm"]
        thigh = _SEGMENT["l_thigh" if side > 0 else "r_thigh"]
        points[arm] = trunk + side * body.shoulders * across
        points[arm + 1] = points[arm] + body.upper_arm * along[upper]
        points[arm + 2] = points[arm + 1] + body.forearm * along[upper + 1]
        points[leg] = side * body.hips * np.array([1.0, 0.0, 0.0])
        points[leg + 1] = points[leg] + body.thigh * along[thigh]
        points[leg + 2] = points[leg + 1] + body.shin * along[thigh + 1]
        points[leg + 3] = points[leg + 2] + body.foot * along[thigh + 2]
    return points


def _turned(turn: float) -> Array:
    """Matrix (3, 3), applied from the right, that turns the body's own axes into the room's."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
