"""The agent's end of a capture process: starts it, takes its frames, kills it, and never waits for long."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import socket
import subprocess
import sys

from vedette_edge.capture.messages import LONGEST, Alive, Ended, Filled, Job, Note, decode
from vedette_edge.capture.ring import Ring, make_memory
from vedette_edge.errors import VideoError
from vedette_edge.types import Frame

__all__ = ["CaptureProcess", "Sign"]

_log = logging.getLogger(__name__)

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(2**26),  # one compressed picture must not eat all memory
    "PYTHONSAFEPATH": "1",  # nothing is imported from the working directory
}
_TO_DIE = 2.0  # seconds that the kernel may take to end a killed process


class Sign(enum.Enum):
    """What came instead of a frame."""

    NOTHING = enum.auto()
    ALIVE = enum.auto()
    ENDED = enum.auto()


class CaptureProcess:
    """A running capture process. The thread that starts it must outlive it."""

    def __init__(self, job: Job) -> None:
        """Start it.

        Raises:
            VideoError: when the system cannot start another process.
        """
        self.seen = 0
        self.dropped = 0
        self._has_ended = False
        try:
            # Room for any frame that `fitted_size` lets through.
            memory = make_memory(job.slots * job.max_side * job.max_side * 3)
            try:
                self._ring = Ring(memory, job.slots, write=False)
                self._channel, self._process = _spawn(memory, job)
            finally:
                os.close(memory)
        except OSError as error:
            raise VideoError(f"cannot start a capture process ({error.strerror or error})") from error

    def receive(self, seconds: float) -> Frame | Sign:
        """Return the next frame, or what there is instead within `seconds`.

        Raises:
            VideoError: when the source has failed, or its process died or sends what is no message.
        """
        self._channel.settimeout(seconds)
        try:
            data = self._channel.recv(LONGEST)
        except (TimeoutError, ConnectionResetError):
            # A reset says that the process left slots unread, and comes before its last words.
            return Sign.NOTHING
        if not data:
            raise VideoError(self._cause_of_death())
        message = decode(data)
        if isinstance(message, Filled):
            return self._take(message)
        if isinstance(message, Note):
            _log.warning("%s", message.text)
        if isinstance(message, Ended):
            self._has_ended, self.seen = True, message.seen
            if message.reason:
                raise VideoError(message.reason)
            return Sign.ENDED
        return Sign.ALIVE if isinstance(message, Alive) else Sign.NOTHING

    def kill(self) -> None:
        """End it and all that it has started, at once; release everything that it held."""
        if self._has_ended:  # it is on its way out, and may put its device down in order
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TO_DIE)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._channel.close()
        try:
            self._process.wait(_TO_DIE)
        except subprocess.TimeoutExpired:
            _log.warning("capture process %d hangs in the kernel and cannot be killed", self._process.pid)

    def _take(self, filled: Filled) -> Frame:
        try:
            shared = self._ring.view(filled.slot, filled.height, filled.width)
        except ValueError as error:
            raise VideoError(f"the capture process is not trusted: {error}") from error
        frame = Frame(shared.copy(), filled.time)
        self.seen, self.dropped = filled.seen, filled.dropped
        # If it died meanwhile, the next `receive` tells.
        with contextlib.suppress(OSError):
            self._channel.send(bytes([filled.slot]))
        return frame

    def _cause_of_death(self) -> str:
        try:
            code = self._process.wait(_TO_DIE)
        except subprocess.TimeoutExpired:
            return "the capture process fell silent"
        if code < 0:
            return f"the capture process died of {signal.Signals(-code).name}"
        return f"the capture process ended with exit code {code}"


def _spawn(memory: int, job: Job) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments = map(str, (theirs.fileno(), memory, os.getpid()))
    try:
        with theirs:
            ours.send(job.to_bytes())
            process = subprocess.Popen(
                [sys.executable, "-m", "vedette_edge.capture", *arguments],
                pass_fds=(theirs.fileno(), memory),
                env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a group of its own, to be killed with what it starts
            )
    except OSError:
        ours.close()
        raise
    return ours, process
