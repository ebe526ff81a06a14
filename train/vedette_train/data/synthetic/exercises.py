"""What the figures do: one motion per label, each a function from seconds to a pose.

Promises, in order:

1. `LABELS` names the classes; the first, `idle`, is the one that raises no alarm.
2. `random_motion` draws tempo, amplitude, phase and direction from the generator it is given, nothing else.
3. Every motion is defined for all times, is continuous, and stays within `REACH`, `DROP` and `HALF_WIDTH`
   of the place where the figure stands, for every body that `person.random_person` draws; a test holds this.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from vedette_train.data.synthetic.skeleton import Angles, Body, Pose, blend, pose

Motion = Callable[[float], Pose]

REACH: Final = 1.22  # the highest point of any motion above the floor, body heights
DROP: Final = 0.08  # the lowest point in the picture: a limb nearer to the viewer than the place to stand
HALF_WIDTH: Final = 0.64  # the farthest point of any motion to the left or right, body heights

_TAU: Final = 2 * math.pi


def random_motion(label: str, rng: np.random.Generator, body: Body) -> Motion:
    """Draw one person's way of doing an exercise.

    Args:
        label: One of `LABELS`.
        rng: The only source of chance.
        body: Who does it; push-ups must know how long the arms are.

    Returns:
        A function from seconds to a `Pose`.

    Raises:
        KeyError: The label is not one of `LABELS`.
    """
    motion = _MOTIONS[label](rng, body)
    tremor = rng.normal(0.0, math.radians(1.2), (12, 2))
    pace, start = rng.uniform(0.3, 1.1, (12, 2)), rng.uniform(0, _TAU, (12, 2))

    def alive(t: float) -> Pose:
        at = motion(t)
        segments = at.segments + tremor * np.sin(_TAU * pace * t + start)
        return replace(at, segments=segments)

    return alive


def _beat(rng: np.random.Generator) -> Callable[[float], float]:
    """A clock in repetitions, that hurries and lingers a little as people do."""
    tempo, start = rng.uniform(0.6, 1.4), rng.uniform()
    pace, swing = rng.uniform(0.1, 0.3), rng.uniform(0.0, 0.05)
    return lambda t: float(start + tempo * t + swing * math.sin(_TAU * pace * t))


def _rise(phase: float) -> float:
    """0 at whole repetitions, 1 in the middle of one."""
    return 0.5 - 0.5 * math.cos(_TAU * phase)


def _heading(rng: np.random.Generator, least: float, most: float) -> float:
    """A turn in degrees to either side of the camera."""
    return float(rng.uniform(least, most) * rng.choice([-1, 1]))


def _jumping_jack(rng: np.random.Generator, _body: Body) -> Motion:
    beat, turn = _beat(rng), _heading(rng, 0, 30)
    top, wide, jump = rng.uniform(135, 172), rng.uniform(17, 28), rng.uniform(0.03, 0.07)
    bend = rng.uniform(0, 25)

    def at(t: float) -> Pose:
        phase = beat(t)
        up = _rise(phase)
        arm = 10 + (top - 10) * up
        upper, fore = (4.0, arm), (8.0, arm + bend * math.sin(math.pi * up))
        leg = (0.0, 3 + (wide - 3) * up)
        hop = jump * math.sin(_TAU * phase) ** 2
        return pose(_both(upper_arm=upper, forearm=fore, thigh=leg, shin=leg), turn=turn, hop=hop)

    return at


def _squat(rng: np.random.Generator, _body: Body) -> Motion:
    beat, turn = _beat(rng), _heading(rng, 15, 50)
    deep, stance, lean = rng.uniform(70, 98), rng.uniform(7, 14), rng.uniform(22, 38)
    ahead = (rng.uniform(75, 95), rng.uniform(75, 95)), (rng.uniform(35, 50), 125.0)
    reach = ahead[0 if rng.uniform() < 0.7 else 1]

    def at(t: float) -> Pose:
        down = _rise(beat(t))
        arms = _both(
            upper_arm=(5 + (reach[0] - 5) * min(1.0, 1.4 * down), 8.0),
            forearm=(10 + (reach[1] - 10) * min(1.0, 1.4 * down), 2.0),
        )
        legs = _both(
            thigh=(deep * down, stance + 8 * down),
            shin=(-0.36 * deep * down, stance - 4 * down),
            foot=(78.0, 18.0),
        )
        trunk: dict[str, Angles] = {"torso": (3 + lean * down, 0.0), "head": (2 + 6 * down, 0.0)}
        return pose(trunk | arms | legs, turn=turn)

    return at


def _push_up(rng: np.random.Generator, body: Body) -> Motion:
    beat, turn = _beat(rng), _heading(rng, 55, 90)
    length = body.torso + body.leg
    high = 0.94 * (body.upper_arm + body.forearm)
    low, flare, sag = rng.uniform(0.1, 0.15), rng.uniform(10, 30), rng.uniform(-4, 3)
    toes = 0.9 * body.foot
    hands = math.sqrt(length**2 - (high - toes) ** 2) + rng.uniform(-0.02, 0.03)

    def at(t: float) -> Pose:
        shoulder = high + (low - high) * _rise(beat(t))
        pitch = math.asin((shoulder - toes) / length)
        upper, fore = _bent_arm(body, hands - length * math.cos(pitch), shoulder - 0.01)
        wide = flare * (high - shoulder) / (high - low)
        limbs = _both(
            upper_arm=(upper, 4 + wide),
            forearm=(fore, 4 - wide),
            thigh=(math.degrees(pitch) - 90 + sag, 3.0),
            shin=(math.degrees(pitch) - 90 - sag, 3.0),
            foot=(12.0, 0.0),
        )
        lean = 90 - math.degrees(pitch)
        trunk: dict[str, Angles] = {"torso": (lean, 0.0), "head": (lean - 22, 0.0)}
        return pose(trunk | limbs, turn=turn, ahead=-0.5 * length)

    return at


def _bent_arm(body: Body, forwards: float, down: float) -> Angles:
    """Flex of upper arm and forearm, degrees, that put the hand there, seen from the shoulder; elbow back."""
    a, b = body.upper_arm, body.forearm
    far = min(math.hypot(forwards, down), 0.999 * (a + b))
    aim = math.atan2(forwards, down)
    at_shoulder = math.acos((a * a + far * far - b * b) / (2 * a * far))
    at_hand = math.acos((b * b + far * far - a * a) / (2 * b * far))
    return math.degrees(aim - at_shoulder), math.degrees(aim + at_hand)


def _wave(rng: np.random.Generator, _body: Body) -> Motion:
    beat, turn = _beat(rng), _heading(rng, 0, 30)
    raised, swing, lift = rng.uniform(120, 152), rng.uniform(30, 48), rng.uniform(8, 17)
    both, opposed = rng.uniform() < 0.5, rng.uniform() < 0.5
    resting = _REST_ARMS[int(rng.integers(len(_REST_ARMS)))]
    sway = rng.uniform(1, 5)

    def at(t: float) -> Pose:
        s = math.sin(_TAU * beat(t))
        other = s if opposed else -s
        arms = _both(upper_arm=resting[0], forearm=resting[1])
        arms |= {"l_upper_arm": (6.0, raised + lift * s), "l_forearm": (12.0, 178 + swing * s)}
        if both:
            arms |= {"r_upper_arm": (6.0, raised + lift * other), "r_forearm": (12.0, 178 + swing * other)}
        trunk: dict[str, Angles] = {"torso": (0.0, -sway * s * 0.5), "head": (0.0, sway * s)}
        return pose(trunk | arms | _stance(4 + sway * 0.4 * s), turn=turn)

    return at if rng.uniform() < 0.5 else _mirrored(at)


def _high_knees(rng: np.random.Generator, _body: Body) -> Motion:
    beat, turn = _beat(rng), _heading(rng, 15, 50)
    height, pump, jump = rng.uniform(80, 108), rng.uniform(25, 50), rng.uniform(0.01, 0.04)
    elbow, lean = rng.uniform(70, 105), rng.uniform(-4, 8)

    def at(t: float) -> Pose:
        s = math.sin(_TAU * beat(t))
        limbs: dict[str, Angles] = {}
        for side, lift in (("l", max(0.0, s)), ("r", max(0.0, -s))):
            own = s if side == "l" else -s
            limbs[f"{side}_thigh"] = (height * lift, 3.0)
            limbs[f"{side}_shin"] = (-24 * math.sin(math.pi * lift) - 8 * lift, 2.0)
            limbs[f"{side}_foot"] = (78 - 34 * lift, 8.0)
            limbs[f"{side}_upper_arm"] = (-pump * own, 10.0)
            limbs[f"{side}_forearm"] = (elbow - 0.6 * pump * own, -6.0)
        return pose(limbs | {"torso": (lean, 0.0)}, turn=turn, hop=jump * s * s, planted=0.0)

    return at


def _idle(rng: np.random.Generator, _body: Body) -> Motion:
    return _stroll(rng) if rng.uniform() < 0.3 else _stand(rng)


def _stand(rng: np.random.Generator) -> Motion:
    turn, shift = _heading(rng, 0, 60), rng.uniform(1, 5)
    pace, start = rng.uniform(0.12, 0.35), rng.uniform(0, _TAU)
    arms = _REST_ARMS[int(rng.integers(len(_REST_ARMS)))]
    gesture = _GESTURES[int(rng.integers(len(_GESTURES)))]
    every, first, hold = rng.uniform(3.0, 5.0), rng.uniform(0.0, 3.0), rng.uniform(0.9, 1.6)

    def at(t: float) -> Pose:
        s = math.sin(_TAU * pace * t + start)
        limbs = _both(upper_arm=arms[0], forearm=arms[1]) | _stance(5 + shift * s)
        standing = pose(limbs | {"torso": (2.0, -shift * s), "head": (4.0, 2 * s)}, turn=turn + 6 * s)
        now = (t - first) % every
        if now >= 2 * hold:
            return standing
        weight = _smooth(_rise(now / (2 * hold)) * 1.5)
        return blend(standing, pose(limbs | gesture, turn=turn + 10), weight)

    return at if rng.uniform() < 0.5 else _mirrored(at)


def _stroll(rng: np.random.Generator) -> Motion:
    """To and fro, a few steps each way: the figure turns where its path does."""
    span, period, start = rng.uniform(0.2, 0.3), rng.uniform(3.5, 5.0), rng.uniform(0, _TAU)
    stride, swing = rng.uniform(20, 28), rng.uniform(14, 26)

    def at(t: float) -> Pose:
        angle = _TAU * t / period + start
        half_turns = math.floor(angle / math.pi + 0.5)
        walked = span * (2 * half_turns + math.sin(angle) * (-1) ** half_turns)
        speed = math.sqrt(abs(math.cos(angle)))
        s, c = math.sin(_TAU * walked / 0.42), math.cos(_TAU * walked / 0.42)
        limbs: dict[str, Angles] = {}
        for side, sign in (("l", 1.0), ("r", -1.0)):
            thigh, knee = 4 + stride * speed * sign * s, speed * (8 + 38 * max(0.0, sign * c))
            limbs[f"{side}_thigh"] = (thigh, 2.0)
            limbs[f"{side}_shin"] = (thigh - knee, 2.0)
            limbs[f"{side}_foot"] = (78 - 0.5 * knee, 6.0)
            limbs[f"{side}_upper_arm"] = (-swing * speed * sign * s, 7.0)
            limbs[f"{side}_forearm"] = (14 - swing * speed * sign * s, 3.0)
        facing = 84 * math.tanh(4 * math.cos(angle)) / math.tanh(4)
        return pose(limbs | {"torso": (4.0, 0.0)}, turn=facing, planted=0.0, aside=span * math.sin(angle))

    return at


def _smooth(x: float) -> float:
    """A step from 0 to 1 with flat ends."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


def _both(**limbs: Angles) -> dict[str, Angles]:
    """The same angles for the left and the right limb."""
    return {f"{side}_{name}": angles for side in "lr" for name, angles in limbs.items()}


def _stance(shift: float) -> dict[str, Angles]:
    """Two standing legs; `shift` (degrees) puts the weight on one of them."""
    left, right = (0.0, shift), (0.0, 10 - shift)
    return {"l_thigh": left, "l_shin": left, "r_thigh": right, "r_shin": right}


def _mirrored(motion: Motion) -> Motion:
    """The same motion with left and right exchanged."""
    swap = [0, 1, 4, 5, 2, 3, 9, 10, 11, 6, 7, 8]
    sign = np.ones((12, 2))
    sign[:2, 1] = -1  # trunk and head lean to a side of the room, limbs to their own side

    def at(t: float) -> Pose:
        was = motion(t)
        return replace(was, segments=was.segments[swap] * sign, turn=-was.turn, aside=-was.aside)

    return at


_REST_ARMS: Final[tuple[tuple[Angles, Angles], ...]] = (
    ((2.0, 7.0), (10.0, 4.0)),  # hanging
    ((0.0, 10.0), (22.0, 2.0)),  # hanging, elbows bent
    ((-18.0, 42.0), (14.0, -46.0)),  # hands on the hips
    ((16.0, 16.0), (82.0, -52.0)),  # folded
)
_GESTURES: Final[tuple[dict[str, Angles], ...]] = (
    {"l_upper_arm": (72.0, 38.0), "l_forearm": (160.0, -22.0)},  # scratches the head
    {"l_upper_arm": (24.0, 12.0), "l_forearm": (118.0, -16.0), "head": (24.0, 0.0)},  # looks at a telephone
    {"l_upper_arm": (58.0, 22.0), "l_forearm": (76.0, 18.0)},  # points at something
    _both(upper_arm=(20.0, 14.0), forearm=(84.0, 30.0)),  # talks with both hands
    {"torso": (34.0, 0.0), "l_upper_arm": (48.0, 4.0), "l_forearm": (46.0, 0.0)},  # bends for something
)
_MOTIONS: Final[dict[str, Callable[[np.random.Generator, Body], Motion]]] = {
    "idle": _idle,
    "jumping_jack": _jumping_jack,
    "squat": _squat,
    "push_up": _push_up,
    "wave": _wave,
    "high_knees": _high_knees,
}
LABELS: Final[tuple[str, ...]] = tuple(_MOTIONS)
