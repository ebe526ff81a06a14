"""Keeps a camera's capture process running: watches it, kills it when no frame comes, starts it anew.

Status, as told to `on_status`, each change once:

- `online` with the first frame of a process;
- `stalled` when frames came and then stopped coming, for whatever reason;
- `offline` when a process ended, or had to be killed, before its first frame.

A live source is tried again after a random time below a bound that doubles with each failure in a row. The
others end with their stream, and fail for good.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from vedette_edge.backoff import backoff
from vedette_edge.capture.messages import Job
from vedette_edge.capture.process import CaptureProcess, Sign
from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Pause
from vedette_edge.types import Frame

if TYPE_CHECKING:  # the capture process imports this package, and must not pay for pydantic
    from vedette_edge.config import CameraConfig, CaptureConfig

__all__ = ["OnStatus", "Status", "Supervisor", "Worker", "open_capture"]

_log = logging.getLogger(__name__)

Status: TypeAlias = Literal["online", "stalled", "offline", "disabled"]
OnStatus: TypeAlias = Callable[[Status, str], None]
"""Told of (status, reason)."""

_SLOTS = 4  # frames in shared memory: enough to ride out a busy agent, few enough to stay fresh
_POLL = 0.2  # seconds between two looks at whether to stop
_STEADY = 30.0  # seconds of frames after which earlier failures are forgotten


class Worker(Protocol):
    """A running capture process, or its twin in a test."""

    seen: int
    dropped: int

    def receive(self, seconds: float) -> Frame | Sign:
        """Return the next frame, or what there is instead within `seconds`.

        Raises:
            VideoError: when the source has failed.
        """
        ...

    def kill(self) -> None:
        """End it."""
        ...


def open_capture(
    camera: CameraConfig, pause: Pause, on_status: OnStatus, rates: Collection[float] = ()
) -> Supervisor:
    """Return the source of a camera's frames, decoded in a process of its own that `frames` starts.

    Args:
        camera: its section of the configuration.
        pause: how to wait, and how to learn that it is time to end.
        on_status: told of each change, from the thread that reads the frames.
        rates: at which frames per second samples are taken; by default, of each frame.
    """
    source = camera.source
    job = Job(
        kind=source.type,
        options=source.options(),
        origin=time.monotonic(),
        wait=camera.pressure == "wait",
        max_side=camera.capture.max_side,
        masks=camera.privacy.masks,
        slots=_SLOTS,
        rates=sorted(rates),
    )
    return Supervisor(camera.id, lambda: CaptureProcess(job), camera.capture, source.live, pause, on_status)


class Supervisor:
    """The frames of a camera, over all restarts of its capture process."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Worker],
        limits: CaptureConfig,
        live: bool,
        pause: Pause,
        on_status: OnStatus,
        *,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing starts before `frames`.

        Args:
            name: the camera's, for the log.
            start: starts a capture process; raises VideoError when it cannot.
            limits: how long to wait for what.
            live: whether to start again when the stream ends or fails.
            pause: how to wait, and how to learn that it is time to end.
            on_status: told of each change.
            jitter: random numbers in 0..1.
            clock: seconds, rising.
        """
        self._name = name
        self._start = start
        self._limits = limits
        self._live = live
        self._pause = pause
        self._on_status = on_status
        self._jitter = jitter
        self._clock = clock
        self._worker: Worker | None = None
        self._seen_before = 0
        self._dropped_before = 0
        self._flowing_since: float | None = None
        self._told: tuple[Status, str] | None = None
        self.restarts = 0

    @property
    def seen(self) -> int:
        """Frames that the camera gave, over all restarts."""
        worker = self._worker
        return self._seen_before + (worker.seen if worker else 0)

    @property
    def dropped(self) -> int:
        """Frames dropped in capture processes, because all slots were full."""
        worker = self._worker
        return self._dropped_before + (worker.dropped if worker else 0)

    def frames(self) -> Iterator[Frame]:
        """Yield frames; their times rise over all restarts, and a restart is a gap in them.

        Raises:
            VideoError: when a source that is not live fails.
        """
        failures = 0
        while True:
            try:
                yield from self._run()
                reason = "the stream has ended"
            except VideoError as error:
                if not self._live:
                    raise
                reason = str(error)
            if not self._live or self._pause(0.0):
                return
            since = self._flowing_since
            self._tell("offline" if since is None else "stalled", reason)
            if since is not None and self._clock() - since >= _STEADY:
                failures = 0
            if self._pause(backoff(failures, self._jitter(), self._limits.longest_retry)):
                return
            failures += 1
            self.restarts += 1

    def _run(self) -> Iterator[Frame]:
        """Yield the frames of one process, until it ends in good order or it is time to stop."""
        self._flowing_since = None
        self._worker = worker = self._start()
        try:
            yield from self._frames_of(worker)
        finally:
            worker.kill()
            self._seen_before += worker.seen
            self._dropped_before += worker.dropped
            self._worker = None

    def _frames_of(self, worker: Worker) -> Iterator[Frame]:
        patience, heard = self._limits.open_within, self._clock()
        while not self._pause(0.0):
            received = worker.receive(_POLL)
            if received is Sign.ENDED:
                return
            if received is Sign.NOTHING:
                if self._clock() - heard >= patience:
                    raise VideoError(f"no picture for {patience:g} s")
                continue
            if isinstance(received, Frame):
                if self._flowing_since is None:
                    self._flowing_since, patience = self._clock(), self._limits.stall_after
                    self._tell("online", "")
                yield received
            # After the yield: the time that the agent takes for a frame is not the camera's.
            heard = self._clock()

    def _tell(self, status: Status, reason: str) -> None:
        if (status, reason) == self._told:
            return
        self._told = status, reason
        if status == "online":
            _log.info("camera '%s': online", self._name)
        else:
            _log.warning("camera '%s': %s: %s; it is started again", self._name, status, reason)
        self._on_status(status, reason)
