"""Says which frames belong to which clip. Pure; time is that of the stream.

1. The last seconds are remembered, as JPEG, bounded in bytes.
2. A clip begins `before` seconds before its first event did, or with the oldest frame that is remembered.
3. Events that overlap, or begin before the clip is over, share it.
4. It is over `after` seconds after the last of its events ended, when it is `longest` seconds long, or when
   the stream stops or starts again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from vedette_edge.recording.record import ClipEvent, ClipRecord
from vedette_edge.topics import Event

__all__ = ["Begin", "ClipPlanner", "Job", "Shot", "Stop"]

# Seconds by which an event may be told after it began, as clips, smoothing and minimum durations have it.
_LATE = 10.0
_REMEMBERED_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Begin:
    """A clip begins; the shots that follow are its own."""

    name: str


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame: its time in seconds of the stream, and its JPEG bytes."""

    time: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """The clip is over; `record` tells of it."""

    record: ClipRecord


Job: TypeAlias = Begin | Shot | Stop


@dataclass(slots=True)
class _Clip:
    """A clip that goes on: `origin` is the Unix time of the stream's second 0."""

    name: str
    start: float
    origin: float
    events: dict[str, Event] = field(default_factory=dict)

    def over_at(self, after: float, longest: float) -> float:
        ends = [event.end_position for event in self.events.values()]
        known = [end for end in ends if end is not None]
        quiet = max(known) + after if len(known) == len(ends) else float("inf")
        return min(quiet, self.start + longest)


class ClipPlanner:
    """Follows one camera's stream."""

    def __init__(self, *, before: float, after: float, longest: float) -> None:
        """Plan clips; all arguments are in seconds."""
        self._before = before
        self._after = after
        self._longest = longest
        self._remembered: deque[Shot] = deque()
        self._bytes = 0
        self._clip: _Clip | None = None

    def tell(self, event: Event) -> list[Job]:
        """Take what was told of an event; return what is to be done."""
        clip = self._clip
        if clip is not None and (event.type == "new" or event.id in clip.events):
            clip.events[event.id] = event
        if clip is not None or event.type != "new":
            return []
        start = event.start_position - self._before
        shots = [shot for shot in self._remembered if shot.time >= start]
        first = shots[0].time if shots else event.start_position
        name = f"{event.camera}-{event.id}"
        self._clip = _Clip(name, first, event.start_time - event.start_position, {event.id: event})
        return [Begin(name), *shots]

    def push(self, shot: Shot) -> list[Job]:
        """Take the next frame; return what is to be done."""
        jobs: list[Job] = []
        if self._remembered and shot.time <= self._remembered[-1].time:
            jobs += self.finish()
        elif self._clip is not None and shot.time > self._clip.over_at(self._after, self._longest):
            jobs += self._stop()
        self._remember(shot)
        return [*jobs, shot] if self._clip is not None else jobs

    def finish(self) -> list[Job]:
        """End the stream, and forget it; return what is to be done."""
        jobs = self._stop()
        self._remembered.clear()
        self._bytes = 0
        return jobs

    def _stop(self) -> list[Job]:
        clip, self._clip = self._clip, None
        if clip is None:
            return []
        last = self._remembered[-1].time if self._remembered else clip.start
        record = ClipRecord(
            camera=next(iter(clip.events.values())).camera,
            start_time=round(clip.origin + clip.start, 3),
            end_time=round(clip.origin + last, 3),
            events=tuple(ClipEvent.of(event) for event in clip.events.values()),
        )
        return [Stop(record)]

    def _remember(self, shot: Shot) -> None:
        self._remembered.append(shot)
        self._bytes += len(shot.jpeg)
        oldest = shot.time - self._before - _LATE
        while len(self._remembered) > 1 and (
            self._remembered[0].time < oldest or self._bytes > _REMEMBERED_BYTES
        ):
            self._bytes -= len(self._remembered.popleft().jpeg)
