"""Opens when something moves, and closes when nothing did for a while. Pure; its only clock is the frames'.

It errs on the open side: it begins open, because an action may be under way and the background is not yet
known, and so it does after a gap. When it opens, the seconds before are let through first: no action's
start is cut.
"""

from __future__ import annotations

from vedette_edge.config.gate import GateConfig
from vedette_edge.gate.motion import MotionDetector
from vedette_edge.gate.preroll import Preroll
from vedette_edge.pipeline import Gated
from vedette_edge.sampling import DEFAULT_MAX_GAP
from vedette_edge.types import Frame

__all__ = ["MotionGate"]

_LEAST_SHARE = 0.0005  # of the picture that must move, at sensitivity 0.5


class MotionGate:
    """The gate of one camera; see `pipeline.Gate`."""

    def __init__(self, config: GateConfig) -> None:
        """Begin open."""
        self._config = config
        self._motion = MotionDetector(config.sensitivity, config.masks)
        self._least = _LEAST_SHARE * 4.0 ** (0.5 - config.sensitivity)
        self._preroll = Preroll(config.preroll, config.preroll_max_bytes, config.confirm)
        self._last: float | None = None
        self._open_until = 0.0
        self._open = True
        self._moving = 0
        self._forced: float | None = None

    @property
    def open(self) -> bool:
        """Whether frames pass."""
        return self._open

    def force(self, seconds: float) -> None:
        """Open with the next frame, and stay open for that long; from any thread."""
        self._forced = seconds

    def push(self, frame: Frame) -> Gated:
        """Take the next frame; return what to judge now."""
        self._see(frame)
        opens = frame.time <= self._open_until
        closed, self._open = self._open and not opens, opens
        self._preroll.push(frame)
        return Gated(self._preroll.take() if opens else (), closed)

    def _see(self, frame: Frame) -> None:
        if self._last is None or not 0 <= frame.time - self._last <= DEFAULT_MAX_GAP:
            self._begin(frame.time)
        self._last = frame.time
        share = self._motion.push(frame.image, frame.time)
        self._moving = self._moving + 1 if share >= self._least else 0
        if self._moving >= self._config.confirm:
            self._stay_open(frame.time, self._config.hold)
        seconds, self._forced = self._forced, None
        if seconds is not None:
            self._stay_open(frame.time, seconds)

    def _begin(self, time: float) -> None:
        """Begin anew: what was before says nothing of what comes."""
        self._motion.reset()
        self._preroll.take()
        self._moving = 0
        self._open_until = time + self._config.hold

    def _stay_open(self, time: float, seconds: float) -> None:
        self._open_until = max(self._open_until, time + seconds)
