"""Tells when a camera is covered, moved, out of focus or frozen. Pure; its only clock is the frames'.

Twice a second a picture is compared with what the camera usually sees (`views`), which is learnt in its first
seconds and follows slowly while nothing is amiss. Both a beginning and an end must last for `after` seconds.
A reference outlives gaps and restarts of the stream: a camera that was turned while it was unplugged is told.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from vedette_edge.config.gate import TamperConfig
from vedette_edge.sampling import DEFAULT_MAX_GAP
from vedette_edge.tamper.stillness import Stillness
from vedette_edge.tamper.views import Likeness, View, compare, look
from vedette_edge.types import Frame

__all__ = ["Kind", "TamperChange", "TamperDetector"]

Kind = Literal["covered", "moved", "defocused", "frozen"]

_PERIOD = 0.5  # seconds between two looks
_LEARNING = 10.0  # seconds
_FOLLOWING = 300.0  # seconds in which the reference follows
_ROUNDING = 1e-6  # seconds
# (to begin, to end): the second is the easier one to leave, so that nothing flickers.
_KEPT = (0.2, 0.3)
_SHARPNESS = (0.45, 0.6)
_DETAIL = 0.4


@dataclass(frozen=True, slots=True)
class TamperChange:
    """A tampering began or ended.

    Attributes:
        kind: which.
        began: it began, else it ended.
        since: when it began, seconds of the stream.
        time: when it was found to have begun, or when it ended, seconds of the stream.
    """

    kind: Kind
    began: bool
    since: float
    time: float


class TamperDetector:
    """Follows the pictures of one camera."""

    def __init__(self, config: TamperConfig) -> None:
        """Begin without a reference."""
        self._config = config
        self._reference: View | None = None
        self._learnt = 0.0
        self._view = _Latch(config.after)
        self._stillness = Stillness()
        self._still = _Latch(config.after)
        self._last: float | None = None
        self._looked: float | None = None

    def push(self, frame: Frame) -> list[TamperChange]:
        """Take the next frame; return what began or ended."""
        anew = self._last is not None and not 0 <= frame.time - self._last <= DEFAULT_MAX_GAP
        changes = self.finish() if anew else []
        self._last = frame.time
        if self._looked is not None and frame.time - self._looked + _ROUNDING < _PERIOD:
            return changes
        passed = _PERIOD if self._looked is None else frame.time - self._looked
        self._looked = frame.time
        still = self._stillness.push(frame.image)
        changes += self._still.push(frame.time, "frozen" if still else None)
        # A frozen picture teaches nothing.
        return changes + self._watch(look(frame.image), frame.time, passed, learn=not still)

    def finish(self) -> list[TamperChange]:
        """End the stream; what is active ends with its last frame."""
        last, self._last, self._looked = self._last, None, None
        self._stillness.forget_last()
        return [] if last is None else [*self._view.finish(last), *self._still.finish(last)]

    def _watch(self, view: View, time: float, passed: float, *, learn: bool) -> list[TamperChange]:
        if self._reference is None or (self._learnt >= _LEARNING and not self._reference.telling):
            self._reference, self._learnt = view, 0.0
            return []
        if self._learnt < _LEARNING:
            self._learnt += passed
            self._reference = self._reference.blended(view, passed / (self._learnt + passed))
            return []
        amiss = self._amiss(compare(view, self._reference))
        changes = self._view.push(time, amiss)
        if learn and amiss is None and self._view.kind is None:
            self._reference = self._reference.blended(view, 1.0 - math.exp(-passed / _FOLLOWING))
        if self._view.lasted(time) > self._config.accept_after and self._view.kind != "covered":
            changes += self._view.finish(time)
            self._reference, self._learnt = view, 0.0
        return changes

    def _amiss(self, likeness: Likeness) -> Kind | None:
        bound = 0 if self._view.kind is None else 1
        if likeness.kept < _KEPT[bound]:
            return "covered" if likeness.detail < _DETAIL else "moved"
        return "defocused" if likeness.sharpness < _SHARPNESS[bound] else None


class _Latch:
    """Turns what is seen from look to look into a beginning and an end, each after it has lasted."""

    def __init__(self, after: float) -> None:
        self._after = after
        self.kind: Kind | None = None
        self._began = 0.0
        self._since: float | None = None
        self._seen: Counter[Kind] = Counter()

    def lasted(self, time: float) -> float:
        """Return for how long it has been active; 0 where it is not."""
        return 0.0 if self.kind is None else time - self._began

    def push(self, time: float, seen: Kind | None) -> list[TamperChange]:
        if (seen is None) == (self.kind is None):
            self._since = None
            self._seen.clear()
            return []
        if self._since is None:
            self._since = time
        if seen is not None:
            self._seen[seen] += 1
        if time - self._since + _ROUNDING < self._after:
            return []
        since, self._since = self._since, None
        if self.kind is not None:
            return self.finish(since)
        # A hand before the lens may look now like this, now like that: what was seen most.
        self.kind, self._began = self._seen.most_common(1)[0][0], since
        self._seen.clear()
        return [TamperChange(self.kind, True, since, time)]

    def finish(self, time: float) -> list[TamperChange]:
        kind, self.kind, self._since = self.kind, None, None
        self._seen.clear()
        return [] if kind is None else [TamperChange(kind, False, self._began, time)]
