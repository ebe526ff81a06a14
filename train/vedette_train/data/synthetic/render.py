"""Draws a figure and its shadow into a picture.

Promises, in order:

1. Limbs are tapered capsules in three tones, drawn from far to near: arms pass before and behind the trunk.
2. Nothing outside the figure's own outline is touched by `draw_figure`; `outline_box` bounds that outline.
3. Drawing happens at twice the size in a cut-out around the figure and is shrunk again: edges are smooth, the
   background comes back unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_train.data.synthetic.person import Colour, Person
from vedette_train.data.synthetic.skeleton import JOINT, Array

Image = NDArray[np.uint8]
_Hull = tuple[Sequence[Array], Sequence[float]]  # centres in space and radii, body heights

_OVERSAMPLE: Final = 2
_SHIFT: Final = 4
_DEPTH: Final = 0.07  # growth per body height towards the viewer
_RIM = np.linspace(0, 2 * np.pi, 18, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_RIM), np.sin(_RIM)], axis=1)
# Share of the radius, shift to the light in radii, brightness.
_TONES: Final = ((1.0, 0.0, 0.72), (0.84, 0.13, 0.93), (0.5, 0.34, 1.08))


@dataclass(frozen=True)
class View:
    """Where and how large a figure stands in the picture, and where its light comes from.

    Attributes:
        x: Where the figure stands, pixels from the left.
        y: Where the figure stands, pixels from the top.
        height: Pixels of one body height.
        tilt: Sine of the angle by which the camera looks down.
        light: Direction towards the light in the picture, x right and y down, length 1.
        shadow: Where on the floor the shadow of a point one body height up falls, seen from below that point,
            body heights: x right, y towards the viewer.
        shadow_depth: Share of the light that the shadow takes away, 0 to 1.
    """

    x: float
    y: float
    height: float
    tilt: float = 0.14
    light: tuple[float, float] = (-0.6, -0.8)
    shadow: tuple[float, float] = (0.25, -0.1)
    shadow_depth: float = 0.35


@dataclass(frozen=True)
class Part:
    """A piece of the figure in one colour, shaded as a whole so that no seam shows at a knee.

    Attributes:
        hulls: Its convex pieces, each the hull of circles: (N, 3) float64, centre x, y and radius in pixels.
        colour: BGR.
        depth: Larger is nearer to the viewer.
    """

    hulls: tuple[Array, ...]
    colour: Colour
    depth: float


def figure_parts(person: Person, joints: Array, view: View) -> tuple[Part, ...]:
    """Dress a skeleton.

    Args:
        person: Build and colours.
        joints: (18, 3) float64 from `skeleton.joints`, body heights.
        view: Where it stands.

    Returns:
        The pieces, farthest first.
    """
    sketch = _Sketch(person, joints, view)
    for side in ("l", "r"):
        sketch.leg(side)
        sketch.arm(side)
    sketch.trunk()
    sketch.head()
    return tuple(sorted(sketch.finished(), key=lambda part: part.depth))


def draw_figure(picture: Image, parts: Sequence[Part], view: View) -> None:
    """Draw a figure into a picture, in place.

    Args:
        picture: (H, W, 3) uint8, BGR.
        parts: From `figure_parts`.
        view: The same view.
    """
    x0, y0, x1, y1 = _window(outline_box(parts), picture.shape, margin=2)
    if x0 >= x1 or y0 >= y1:
        return
    cut = picture[y0:y1, x0:x1]
    large = np.asarray(
        cv2.resize(cut, None, fx=_OVERSAMPLE, fy=_OVERSAMPLE, interpolation=cv2.INTER_NEAREST), np.uint8
    )
    circles = (np.concatenate([hull for part in parts for hull in part.hulls]) - (x0, y0, 0)) * _OVERSAMPLE
    circles[:, :2] -= 0.5  # OpenCV counts from the middle of a pixel, boxes from its edge
    counts = [len(hull) for part in parts for hull in part.hulls]
    tones = [
        (_outlines(_lit(circles, share, shift, view), counts), bright) for share, shift, bright in _TONES
    ]
    first = 0
    for part in parts:
        last = first + len(part.hulls)
        for outlines, bright in tones:
            colour = [min(255.0, channel * bright) for channel in part.colour]
            for outline in outlines[first:last]:
                cv2.fillConvexPoly(large, cv2.convexHull(outline), colour, cv2.LINE_AA, _SHIFT)
        first = last
    cut[:] = cv2.resize(large, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)


def draw_shadow(picture: Image, joints: Array, view: View) -> None:
    """Darken the floor where the figure keeps the light from it, in place.

    Args:
        picture: (H, W, 3) uint8, BGR.
        joints: (18, 3) float64, body heights.
        view: Where the figure stands.
    """
    flat = joints.copy()
    flat[:, :2] += joints[:, 2:] * view.shadow
    flat[:, 2] = 0.0
    points = _projected(flat, view)
    circles = np.column_stack([points[_SHADOW_ENDS, :2], _SHADOW_WIDTHS * view.height])
    x0, y0, x1, y1 = _window(_bounds(circles), picture.shape, margin=8)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    mask = np.zeros(((y1 - y0 + 1) // 2, (x1 - x0 + 1) // 2), np.uint8)
    for outline in _outlines((circles - (x0, y0, 0)) * 0.5, [2] * (len(circles) // 2)):
        cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255.0 * view.shadow_depth, cv2.LINE_AA, _SHIFT)
    soft = cv2.resize(cv2.blur(mask, (5, 3)), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    cut = picture[y0:y1, x0:x1]
    cut[:] = cv2.multiply(cut, cv2.cvtColor(255 - soft, cv2.COLOR_GRAY2BGR), scale=1 / 255)


def outline_box(parts: Sequence[Part]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a figure, pixels."""
    return _bounds(np.concatenate([hull for part in parts for hull in part.hulls]))


class _Sketch:
    """Collects the pieces of one figure; radii are in body heights, for a build of 1."""

    def __init__(self, person: Person, joints: Array, view: View) -> None:
        self._parts: list[tuple[tuple[_Hull, ...], Colour, float]] = []
        self._person, self._joints, self._view = person, joints, view
        across = joints[JOINT["l_hip"]] - joints[JOINT["r_hip"]]
        self._across = across / np.linalg.norm(across)
        self._up = _unit(joints[JOINT["neck"]] - joints[JOINT["pelvis"]])
        self._ahead = np.cross(self._up, self._across)

    def leg(self, side: str) -> None:
        """Thigh, shin and shoe."""
        person, build = self._person, self._person.body.build
        hip, knee, ankle, toe = (self._at(f"{side}_{name}") for name in ("hip", "knee", "ankle", "toe"))
        thigh = ((hip, knee), (0.053 * build, 0.035 * build))
        shin = ((knee, ankle), (0.035 * build, 0.021 * build))
        if person.long_trousers:
            self._add(person.trousers, knee, thigh, shin, nearer=-0.02)
        else:
            self._add(person.skin, (knee + ankle) / 2, shin, nearer=-0.03)
            self._add(person.trousers, (hip + knee) / 2, thigh, nearer=-0.02)
        heel = ankle - 0.2 * (toe - ankle)
        self._add(person.shoes, (ankle + toe) / 2, ((heel, toe), (0.022, 0.019)), nearer=-0.02)

    def arm(self, side: str) -> None:
        """Sleeve, forearm and hand; before the trunk when both are at the same distance."""
        person, build = self._person, self._person.body.build
        shoulder, elbow, hand = (self._at(f"{side}_{name}") for name in ("shoulder", "elbow", "hand"))
        wrist, hem = elbow + 0.82 * (hand - elbow), shoulder + 0.55 * (elbow - shoulder)
        upper = ((shoulder, elbow), (0.034 * build, 0.025 * build))
        fore = ((elbow, wrist), (0.025 * build, 0.018 * build))
        self._add(person.skin, elbow, ((wrist, hand), (0.017, 0.023)), nearer=0.035)
        self._add(person.shirt if person.long_sleeves else person.skin, elbow, upper, fore, nearer=0.04)
        if not person.long_sleeves:
            sleeve = ((shoulder, hem), (0.037 * build, 0.034 * build))
            self._add(person.shirt, elbow, sleeve, nearer=0.045)

    def trunk(self) -> None:
        """Hips, belly and chest."""
        person, build = self._person, self._person.body.build
        pelvis, waist = self._at("pelvis"), self._at("waist")
        left, right = self._at("l_shoulder"), self._at("r_shoulder")
        hips = [self._at("l_hip"), self._at("r_hip")]
        chest, down = (left + right) / 2, -0.045 * self._up
        inner = [chest + 0.8 * (shoulder - chest) + down for shoulder in (left, right)]
        flank = [waist + side * 0.03 * build**0.5 * self._across for side in (1, -1)]
        skirt = [hip + 0.018 * self._up for hip in hips]
        seat = ((*hips, pelvis + 0.03 * self._up), (0.053 * build,) * 3)
        belly = ((*flank, *skirt), (0.06 * build, 0.06 * build, 0.046 * build, 0.046 * build))
        breast = ((*inner, *flank), (0.05 * build, 0.05 * build, 0.06 * build, 0.06 * build))
        self._add(person.trousers, pelvis, seat)
        self._add(person.shirt, waist, belly, breast, nearer=0.01)

    def head(self) -> None:
        """Neck, hair and face; the hair covers the face of those who turn their backs."""
        person = self._person
        neck, head = self._at("neck"), self._at("head")
        axis = _unit(head - neck)
        ahead = np.cross(axis, self._across)
        big, fall = 0.064 * person.hair_volume, 0.075 if person.long_hair else 0.012
        crown, nape = head + 0.016 * axis - 0.014 * ahead, head - fall * axis - 0.02 * ahead
        brow, chin = head - 0.006 * axis + 0.014 * ahead, head - 0.042 * axis + 0.018 * ahead
        fringe = head + 0.046 * axis + 0.022 * ahead
        tips = (fringe + 0.03 * self._across, fringe - 0.03 * self._across)
        self._add(person.skin, neck, ((neck - 0.01 * axis, head - 0.03 * axis), (0.03, 0.027)))
        self._add(person.hair, (crown + nape) / 2, ((crown, nape), (big, big * 0.85)))
        self._add(person.skin, (brow + chin) / 2, ((brow, chin), (0.053, 0.036)))
        self._add(person.hair, fringe, (tips, (0.022, 0.022)), nearer=0.02)
        for side in (1, -1):
            eye = head + 0.06 * ahead + side * 0.022 * self._across
            if eye[1] > head[1] + 0.03:
                self._add((40, 36, 34), eye, ((eye,), (0.0075,)), nearer=0.05)

    def finished(self) -> list[Part]:
        """The pieces in pixels; all are projected at once, which is many times faster than one by one."""
        hulls = [hull for own, _, _ in self._parts for hull in own]
        shown = _projected(np.array([point for points, _ in hulls for point in points]), self._view)
        shown[:, 2] *= np.array([radius for _, radii in hulls for radius in radii])
        circles = iter(np.split(shown, np.cumsum([len(radii) for _, radii in hulls])[:-1]))
        return [Part(tuple(next(circles) for _ in own), colour, depth) for own, colour, depth in self._parts]

    def _at(self, name: str) -> Array:
        point: Array = self._joints[JOINT[name]]
        return point

    def _add(self, colour: Colour, middle: Array, *hulls: _Hull, nearer: float = 0.0) -> None:
        self._parts.append((hulls, colour, float(middle[1]) + nearer))


def _projected(points: Array, view: View) -> Array:
    """(N, 3) points in body heights to x, y and the length of one body height there, pixels."""
    size = view.height * (1 + _DEPTH * points[:, 1])
    x = view.x + size * points[:, 0]
    y = view.y - size * (np.sqrt(1 - view.tilt**2) * points[:, 2] - view.tilt * points[:, 1])
    return np.column_stack([x, y, size])


def _lit(circles: Array, share: float, shift: float, view: View) -> Array:
    """Smaller circles, moved towards the light."""
    centres = circles[:, :2] + shift * circles[:, 2:] * view.light
    return np.column_stack([centres, share * circles[:, 2]])


def _outlines(circles: Array, counts: Sequence[int]) -> list[NDArray[np.int32]]:
    """Points on the rims of groups of consecutive circles, in OpenCV's fixed-point pixels."""
    rim = (circles[:, None, :2] + circles[:, None, 2:] * _CIRCLE) * (1 << _SHIFT)
    points = np.rint(rim).astype(np.int32)
    ends = np.cumsum(counts)
    return [points[end - count : end].reshape(-1, 2) for end, count in zip(ends, counts, strict=True)]


def _bounds(circles: Array) -> tuple[float, float, float, float]:
    low = (circles[:, :2] - circles[:, 2:]).min(axis=0)
    high = (circles[:, :2] + circles[:, 2:]).max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _window(
    box: tuple[float, float, float, float], shape: tuple[int, ...], margin: int
) -> tuple[int, int, int, int]:
    """Whole pixels around a box, cut off at the edges of the picture."""
    x0, y0, x1, y1 = box
    left, top = max(0, int(x0) - margin), max(0, int(y0) - margin)
    return left, top, min(shape[1], int(x1) + margin + 1), min(shape[0], int(y1) + margin + 1)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / max(1e-9, float(np.linalg.norm(vector))))


_SHADOW_BONES: Final = tuple(
    ((JOINT[a], JOINT[b]), width)
    for a, b, width in (
        *(
            ("l_ankle", "l_toe", 0.03),
            ("r_ankle", "r_toe", 0.03),
            ("l_knee", "l_ankle", 0.03),
            ("r_knee", "r_ankle", 0.03),
        ),
        *(
            ("l_hip", "l_knee", 0.045),
            ("r_hip", "r_knee", 0.045),
            ("pelvis", "neck", 0.085),
            ("head", "head", 0.065),
        ),
        *(("l_shoulder", "l_elbow", 0.03), ("l_elbow", "l_hand", 0.025)),
        *(("r_shoulder", "r_elbow", 0.03), ("r_elbow", "r_hand", 0.025)),
    )
)
_SHADOW_ENDS: Final = np.array([end for bone, _ in _SHADOW_BONES for end in bone])
_SHADOW_WIDTHS: Final = np.array([width for _, width in _SHADOW_BONES for _ in range(2)])
