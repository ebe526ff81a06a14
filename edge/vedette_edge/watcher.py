"""One model on one camera: judges, decides and writes. No threads, no disks: frames in, messages out.

Tests and evaluations drive it as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vedette_edge.decision import Decider, Rule, Transition
from vedette_edge.events import EventWriter, View
from vedette_edge.judges import Judge, Verdict
from vedette_edge.metrics import Durations
from vedette_edge.publish.base import Message
from vedette_edge.types import Frame
from vedette_edge.zones import Zones

__all__ = ["Watcher"]

# Seconds between a frame's time and the clock: more than decoding takes, less than matters to people.
_CLOCK_SET = 5.0


class Watcher:
    """Turns a stream of frames into the messages of one model."""

    def __init__(
        self,
        *,
        judge: Judge,
        rules: Sequence[Rule],
        events: EventWriter,
        zones: Zones | None = None,
        live: bool = False,
        now: Callable[[], float] = time.time,
        on_verdict: Callable[[Verdict], None] | None = None,
        spent: Durations | None = None,
    ) -> None:
        """Watch one stream.

        Args:
            judge: the model.
            rules: for this camera, one for each class that raises events.
            events: writes the messages.
            zones: of this camera.
            live: frames come when they are taken, so that a clock that is set dates what follows anew.
            now: Unix time, seconds; asked when the stream begins, when it restarts, and for schedules.
            on_verdict: told of each verdict.
            spent: takes the time of decision and drawing.
        """
        self._judge = judge
        self._decider = Decider(rules)
        self._events = events
        self._zones = zones
        self._live = live
        self._now = now
        self._on_verdict = on_verdict
        self._spent = spent or Durations()
        self._origin: float | None = None
        self._last = 0.0
        self.windows = 0

    def push(self, frame: Frame, captured: float | None = None) -> list[Message]:
        """Take the next frame; return the messages it leads to, in the order in which to send them.

        Args:
            frame: the frame.
            captured: `time.monotonic()` at which it was captured.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        verdicts, anew = self._judge.push(frame)
        messages = self._end_all(captured) if anew else []
        # After a gap the clock goes on; only a stream that counts from the start again gets a new origin.
        if self._origin is None or frame.time < self._last or self._clock_was_set(frame):
            self._origin = self._now() - frame.time
        self._last = frame.time
        for verdict in verdicts:
            messages += self._take(verdict, captured)
        return messages

    def finish(self) -> list[Message]:
        """End the stream; return its last messages. Active events end at the last frame."""
        messages = [message for verdict in self._judge.finish() for message in self._take(verdict, None)]
        return messages + self._end_all(None)

    def set_threshold(self, label: int, value: float) -> None:
        """Begin events of a label at another score from now on; see `Decider.set_threshold`.

        Raises:
            ValueError: when the label raises no events, or the value is not in 0..1.
        """
        self._decider.set_threshold(label, value)

    def _clock_was_set(self, frame: Frame) -> bool:
        """Tell whether a live camera's frames no longer come at the time that their origin says."""
        assert self._origin is not None
        return self._live and abs(self._now() - frame.time - self._origin) > _CLOCK_SET

    def _take(self, verdict: Verdict, captured: float | None) -> list[Message]:
        self.windows += 1
        if self._on_verdict is not None:
            self._on_verdict(verdict)
        view = View(verdict.frames, verdict.heatmap, captured)
        with self._spent.timed():
            changes = self._decider.push(
                verdict.middle,
                verdict.probabilities,
                unix_time=self._now(),
                zones_of=partial(self._shares, verdict),
            )
            return [message for change in changes for message in self._write(change, view)]

    def _shares(self, verdict: Verdict, label: int) -> Mapping[str, float]:
        if self._zones is None:
            return {}
        height, width = verdict.frames[-1].image.shape[:2]
        return self._zones.shares(verdict.heatmap, label, width, height)

    def _write(self, change: Transition, view: View) -> list[Message]:
        assert self._origin is not None
        if change.kind == "end":
            return self._events.end(change, self._origin, view.captured)
        return self._events.show(change, view, self._origin)

    def _end_all(self, captured: float | None) -> list[Message]:
        origin = self._origin
        if origin is None:
            return []
        changes = self._decider.finish(self._last)
        return [message for change in changes for message in self._events.end(change, origin, captured)]
