"""Lets others see what a model is shown and what it says, without a change to either."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from vedette_edge.judges import Judge, Verdict
from vedette_edge.types import Frame

__all__ = ["TappedJudge", "Told"]

_log = logging.getLogger(__name__)

Told = Callable[[Frame | None, Sequence[Verdict]], None]
"""Told of a frame and the verdicts at it; None: the stream ended. Must return at once."""


class TappedJudge:
    """Judges as another does, and tells of it."""

    def __init__(self, judge: Judge, tell: Told) -> None:
        """Judge as `judge`, and tell `tell`, from the thread that judges."""
        self._judge = judge
        self._tell = tell
        self._broken = False

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        verdicts, anew = self._judge.push(frame)
        self._pass_on(frame, verdicts)
        return verdicts, anew

    def finish(self) -> list[Verdict]:
        """End the stream; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        verdicts = self._judge.finish()
        self._pass_on(None, verdicts)
        return verdicts

    def set_hop_factor(self, factor: int) -> None:
        """Judge `factor` times less often; see `Judge`."""
        self._judge.set_hop_factor(factor)

    def _pass_on(self, frame: Frame | None, verdicts: Sequence[Verdict]) -> None:
        try:
            self._tell(frame, verdicts)
        except Exception:
            # Who only looks on must not cost an alarm.
            if not self._broken:
                _log.exception("cannot tell what a model was shown")
            self._broken = True
