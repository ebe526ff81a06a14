"""One camera: from its frames to its messages.

`Watcher` is the whole pipeline without threads, clocks or disks: frames in, messages out. Tests and
evaluations drive it as it is. `Camera` runs a watcher behind two threads, capture and inference, with a
bounded queue between them, and keeps each message safe before it takes the next frame.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.decision import Decider, Transition
from vedette_edge.errors import VedetteError
from vedette_edge.events import EventWriter, View
from vedette_edge.handover import HandOver
from vedette_edge.health import Heartbeat
from vedette_edge.manifest import Decision, InputSpec
from vedette_edge.metrics import Durations
from vedette_edge.probabilities import Scale
from vedette_edge.publish.base import JSON, Message, MessageSink
from vedette_edge.runtimes.base import Session
from vedette_edge.sampling import Clip
from vedette_edge.sources.base import Pause, Source
from vedette_edge.types import FloatArray, Frame, Outputs

__all__ = ["Camera", "SharedSession", "Watcher", "Window"]

_log = logging.getLogger(__name__)

# Frames between capture and inference: enough to ride out a slow inference, few enough to stay fresh.
_QUEUE = 4
_PAUSE = 0.5  # seconds between two heartbeats of a capture that waits


@dataclass(frozen=True, slots=True)
class Window:
    """What the network said of one clip.

    Attributes:
        start: time of its first sample, seconds of the stream.
        end: time of its last sample, seconds of the stream.
        middle: the time that the decision takes it for, seconds of the stream.
        probabilities: (K,) float32.
    """

    start: float
    end: float
    middle: float
    probabilities: FloatArray


class SharedSession:
    """One loaded model for all cameras: they take turns, and the time of each turn is kept."""

    def __init__(self, session: Session) -> None:
        """Share `session`."""
        self._session = session
        self._lock = threading.Lock()
        self.durations = Durations()

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        with self._lock:
            began = time.monotonic()
            outputs = self._session.run(clips)
            self.durations.add(time.monotonic() - began)
        return outputs


class Watcher:
    """Samples, infers, decides and writes; the same clips as training's evaluation."""

    def __init__(
        self,
        *,
        spec: InputSpec,
        decision: Decision,
        labels: Sequence[int],
        session: Session,
        events: EventWriter,
        now: Callable[[], float] = time.time,
        on_window: Callable[[Window], None] | None = None,
    ) -> None:
        """Watch one stream.

        Args:
            spec: the manifest's input.
            decision: the rules for this camera.
            labels: indices of the classes that raise events.
            session: the loaded model.
            events: writes the messages.
            now: Unix time, seconds; asked when the stream begins, and when it restarts.
            on_window: told of each clip that was judged.
        """
        self._spec = spec
        self._scale = Scale(decision.temperature)
        self._clips = ClipStream(spec, decision.hop)
        self._decider = Decider(decision, labels)
        self._session = session
        self._events = events
        self._now = now
        self._on_window = on_window
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
        clips, anew = self._clips.push(frame)
        messages = self._end_all(captured) if anew else []
        # After a gap the clock goes on; only a stream that counts from the start again gets a new origin.
        if self._origin is None or frame.time < self._last:
            self._origin = self._now() - frame.time
        self._last = frame.time
        for clip in clips:
            messages += self._judge(clip, captured)
        return messages

    def finish(self) -> list[Message]:
        """End the stream; return its last messages. Active events end at the last frame."""
        messages = [message for clip in self._clips.finish() for message in self._judge(clip, None)]
        return messages + self._end_all(None)

    def _judge(self, clip: Clip[Sampled], captured: float | None) -> list[Message]:
        outputs = self._session.run(clip_tensor(clip, self._spec))
        probabilities = self._scale.probabilities(outputs.logits[0])
        self.windows += 1
        if self._on_window is not None:
            self._on_window(Window(clip.start, clip.end, clip.middle, probabilities))
        view = View([sample.frame for sample in clip.items], outputs.heatmap[0], captured)
        changes = self._decider.push(clip.middle, probabilities)
        return [message for change in changes for message in self._write(change, view)]

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


Status = Literal["online", "offline"]


class Camera:
    """Runs a watcher on a source, in two threads."""

    def __init__(
        self,
        name: str,
        open_source: Callable[[Pause], Source],
        watcher: Watcher,
        sink: MessageSink,
        *,
        lossless: bool,
        on_status: Callable[[str, Status, str], None],
        on_messages: Callable[[Sequence[Message]], None] | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            name: the camera's identifier.
            open_source: builds the source, given a way to pause.
            watcher: the pipeline.
            sink: keeps the messages.
            lossless: frames wait for the inference instead of being dropped.
            on_status: told of (name, status, reason), from the camera's threads.
            on_messages: told of messages after the sink has them.
        """
        self.name = name
        self._source = open_source(self._pause)
        self._watcher = watcher
        self._sink = sink
        self._on_status = on_status
        self._on_messages = on_messages
        self._queue: HandOver[tuple[Frame, float]] = HandOver(_QUEUE, lossless=lossless)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._capture, name=f"capture-{name}", daemon=True),
            threading.Thread(target=self._infer, name=f"inference-{name}", daemon=True),
        ]
        self.heartbeats = [Heartbeat(thread.name) for thread in self._threads]
        self.frames = 0
        self.events = 0
        self.error: Exception | None = None

    @property
    def windows(self) -> int:
        """Clips that the network judged."""
        return self._watcher.windows

    @property
    def dropped(self) -> int:
        """Frames dropped because inference was behind."""
        return self._queue.dropped

    @property
    def finished(self) -> bool:
        """Whether both threads have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Start capture and inference."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the capture; what was captured is still judged, and active events end."""
        self._stopping.set()

    def _pause(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._stopping.is_set():
            self.heartbeats[0].beat()
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._stopping.wait(min(left, _PAUSE))
        return True

    def _capture(self) -> None:
        beat = self.heartbeats[0]
        try:
            for frame in self._source.frames():
                if self.frames == 0:
                    self._on_status(self.name, "online", "")
                self.frames += 1
                if not self._queue.put((frame, time.monotonic()), beat.beat):
                    return
        except Exception as error:
            self._failed(error)
        finally:
            self._queue.close()
            beat.retire()
            ended = "stopped" if self._stopping.is_set() else "end of stream"
            self._on_status(self.name, "offline", str(self.error) if self.error else ended)

    def _infer(self) -> None:
        beat = self.heartbeats[1]
        try:
            while (item := self._queue.get(beat.beat)) is not None:
                beat.beat()
                self._keep(self._watcher.push(*item))
            self._keep(self._watcher.finish())
        except Exception as error:
            self._failed(error)
        finally:
            # The capture must not wait for an inference that is gone.
            self._queue.close()
            beat.retire()

    def _keep(self, messages: list[Message]) -> None:
        if messages:
            self._sink.put(messages)
            self.events += sum(message.content_type == JSON for message in messages)
            if self._on_messages is not None:
                self._on_messages(messages)

    def _failed(self, error: Exception) -> None:
        self.error = self.error or error
        _log.error("camera '%s': %s", self.name, error, exc_info=not isinstance(error, VedetteError))
