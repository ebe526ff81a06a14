"""All that happens to one camera's frames, in order. No threads, no disks: frames in, messages out.

1. Tamper detection sees every frame.
2. The gate says which frames are worth a verdict; when it closes, what is active ends.
3. Each model's watcher judges, decides and writes.
4. Recorders see every frame, and which events began and ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vedette_edge.publish.base import Message
from vedette_edge.types import Frame

__all__ = ["AlwaysOpen", "Gate", "Gated", "Pipeline", "Recorder", "Stage"]


class Stage(Protocol):
    """Takes frames and gives messages: a watcher, tamper detection, a whole pipeline."""

    def push(self, frame: Frame, captured: float | None = None) -> list[Message]:
        """Take the next frame; return the messages it leads to, in the order in which to send them.

        Args:
            frame: the frame.
            captured: `time.monotonic()` at which it was captured.

        Raises:
            RuntimeBackendError: when a runtime fails.
        """
        ...

    def finish(self) -> list[Message]:
        """End the stream; return its last messages. A new one may begin."""
        ...


@dataclass(frozen=True, slots=True)
class Gated:
    """What a gate says.

    Attributes:
        frames: those to judge now, oldest first: none while it is closed; when it opens, also those from
            before, so that no beginning is cut.
        closed: it has just closed: what is active ends.
    """

    frames: Sequence[Frame]
    closed: bool = False


class Gate(Protocol):
    """Says which frames are worth a verdict."""

    def push(self, frame: Frame) -> Gated:
        """Take the next frame."""
        ...


class Recorder(Protocol):
    """Keeps what happened around events."""

    def push(self, frame: Frame, messages: Sequence[Message]) -> None:
        """Take the next frame, and the messages that were written at it. Never raises, never blocks long."""
        ...

    def finish(self, messages: Sequence[Message]) -> None:
        """End the stream, with the last messages: complete what is being kept."""
        ...


class AlwaysOpen:
    """The gate of a camera that has none."""

    def push(self, frame: Frame) -> Gated:
        """Let the frame through."""
        return Gated((frame,))


class Pipeline:
    """The stages of one camera."""

    def __init__(
        self,
        watchers: Sequence[Stage],
        *,
        gate: Gate | None = None,
        guards: Sequence[Stage] = (),
        recorders: Sequence[Recorder] = (),
    ) -> None:
        """Chain the stages.

        Args:
            watchers: see the frames that the gate lets through.
            gate: by default, always open.
            guards: see every frame.
            recorders: see every frame, and the messages.
        """
        self._watchers = watchers
        self._gate = gate or AlwaysOpen()
        self._guards = guards
        self._recorders = recorders

    def push(self, frame: Frame, captured: float | None = None) -> list[Message]:
        """Take the next frame; see `Stage`.

        Raises:
            RuntimeBackendError: when a runtime fails.
        """
        messages = [message for guard in self._guards for message in guard.push(frame, captured)]
        gated = self._gate.push(frame)
        for let_through in gated.frames:
            for watcher in self._watchers:
                messages += watcher.push(let_through, captured)
        if gated.closed:
            messages += [message for watcher in self._watchers for message in watcher.finish()]
        for recorder in self._recorders:
            recorder.push(frame, messages)
        return messages

    def finish(self) -> list[Message]:
        """End the stream; return its last messages."""
        stages = [*self._guards, *self._watchers]
        messages = [message for stage in stages for message in stage.finish()]
        for recorder in self._recorders:
            recorder.finish(messages)
        return messages
