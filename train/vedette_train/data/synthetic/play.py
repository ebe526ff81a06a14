"""Strings motions together: who idles, exercises, idles again, with smooth changes between.

Promises, in order:

1. A play begins and ends with idling and fills its time exactly.
2. Every exercise is in it at least once when there is time for all of them (five exercises: 40 s).
3. The boundary between two motions is the middle of the blend from one to the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vedette_train.data.synthetic.exercises import LABELS, Motion, random_motion
from vedette_train.data.synthetic.skeleton import Body, Pose, blend

BLEND_SECONDS: Final = 0.4

_IDLE_SECONDS: Final = (2.5, 5.0)
_EXERCISE_SECONDS: Final = (5.0, 8.0)


@dataclass(frozen=True)
class Play:
    """Two or more motions, one after the other.

    Attributes:
        labels: What is done in each part.
        bounds: Seconds, one more than parts: part `i` lasts from `bounds[i]` to `bounds[i + 1]`.
        motions: One motion for each part.
    """

    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    motions: tuple[Motion, ...]

    def __call__(self, t: float) -> Pose:
        """The pose at a time in seconds."""
        inner = np.array(self.bounds[1:-1])
        nearest = int(np.abs(inner - t).argmin())
        late = (t - float(inner[nearest])) / BLEND_SECONDS + 0.5
        if 0 < late < 1:
            weight = 0.5 - 0.5 * math.cos(math.pi * late)
            return blend(self.motions[nearest](t), self._following(nearest, t), weight)
        return self.motions[int(np.searchsorted(inner, t, side="right"))](t)

    def _following(self, part: int, t: float) -> Pose:
        """The next part's pose, less whole turns, so that nobody turns round by the longer way."""
        bound = self.bounds[part + 1]
        before, after = self.motions[part](bound).turn, self.motions[part + 1](bound).turn
        pose = self.motions[part + 1](t)
        return replace(pose, turn=pose.turn - 2 * math.pi * round((after - before) / (2 * math.pi)))


def random_play(rng: np.random.Generator, body: Body, seconds: float) -> Play:
    """Draw a play.

    Args:
        rng: The only source of chance.
        body: Who plays.
        seconds: Its length.

    Returns:
        The play.
    """
    exercises = _draw_exercises(rng, _exercise_count(seconds))
    labels = [LABELS[0]]
    for exercise in exercises:
        labels += [exercise, LABELS[0]]
    lengths = _lengths(rng, labels, seconds)
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    motions = tuple(random_motion(label, rng, body) for label in labels)
    return Play(tuple(labels), tuple(float(bound) for bound in bounds), motions)


def _exercise_count(seconds: float) -> int:
    """As many as fit with lengths of middling size, but all exercises once if they can be squeezed in."""
    middling = round((seconds - sum(_IDLE_SECONDS) / 2) / ((sum(_IDLE_SECONDS) + sum(_EXERCISE_SECONDS)) / 2))
    most = math.floor((seconds - _IDLE_SECONDS[0]) / (_IDLE_SECONDS[0] + _EXERCISE_SECONDS[0]))
    return max(1, min(most, max(middling, len(LABELS) - 1)))


def _draw_exercises(rng: np.random.Generator, count: int) -> list[str]:
    """Rounds of all exercises in chance order; none twice in a row."""
    drawn: list[str] = []
    while len(drawn) < count:
        order = [str(label) for label in rng.permutation(LABELS[1:])]
        if drawn and order[0] == drawn[-1]:
            order.reverse()
        drawn += order
    return drawn[:count]


def _lengths(rng: np.random.Generator, labels: Sequence[str], seconds: float) -> list[float]:
    """Lengths in seconds, within their ranges unless the time is too short, that add up."""
    ranges = np.array([_IDLE_SECONDS if label == LABELS[0] else _EXERCISE_SECONDS for label in labels])
    least, room = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
    spare = seconds - least.sum()
    if spare < 0:
        return [float(length) for length in least * seconds / least.sum()]
    share = rng.uniform(0, 1, len(labels))
    drawn = float((share * room).sum())
    # Shrink the shares towards 0 or stretch them towards 1: both keep every length within its range.
    if spare <= drawn:
        share *= spare / drawn
    else:
        share = 1 - (1 - share) * (room.sum() - spare) / (room.sum() - drawn)
    return [float(length) for length in least + share * room]
