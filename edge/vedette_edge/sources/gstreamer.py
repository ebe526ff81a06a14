"""A GStreamer pipeline: cameras on CSI, hardware decoders, whatever has a plug-in.

It runs as `gst-launch-1.0` beside the capture process and hands over raw pictures by a pipe, because OpenCV
from PyPI has no GStreamer. It dies with its capture process. The pipe is not its standard output: vendors'
elements write there what they like.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO

from vedette_edge.errors import VideoError
from vedette_edge.lifetime import die_with_parent
from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.y4m import read_y4m
from vedette_edge.types import Frame

__all__ = ["GStreamerSource", "launch_line"]

_LAUNCHER = "gst-launch-1.0"
# What pipelines for OpenCV end in.
_SINK = re.compile(r"!\s*appsink\b[^!]*$")
_TO_BGR = re.compile(r"!\s*videoconvert\s*!\s*video/x-raw\s*,\s*format\s*=\s*BGR\s*$")
# Sizes whose rows need no padding, which y4menc writes into the stream without a word (GStreamer 1.22).
_FORMAT = "video/x-raw,format=I420,colorimetry=bt601,width=[8,16384,8],height=[2,16384,2]"
# What nobody fetches is old already.
_NEWEST = "queue leaky=downstream max-size-buffers=1"
_ENDING = f"! {_NEWEST} ! videoscale ! videoconvert ! {_FORMAT} ! y4menc ! fdsink fd="
_ERROR = re.compile(r"^(?:ERROR: (?:from element \S+: )?|.*erroneous pipeline: )(.+)$", re.MULTILINE)
_LAST_LINES = 50  # of what it says are kept
_TO_END = 2.0  # seconds


class GStreamerSource:
    """Plays a pipeline; each frame is dated when it arrives."""

    def __init__(
        self, pipeline: str, pause: Pause, clock: Clock = time.monotonic, wanted: Wanted = always
    ) -> None:
        """Play `pipeline`.

        Args:
            pipeline: from the camera to raw video, as for `gst-launch-1.0`; an end for OpenCV is left out.
            pause: how to learn that it is time to end.
            clock: seconds, rising.
            wanted: which frames are given.
        """
        self._pipeline = pipeline
        self._pause = pause
        self._clock = clock
        self._wanted = wanted

    def frames(self) -> Iterator[Frame]:
        """Yield frames while the pipeline gives some.

        Raises:
            VideoError: when GStreamer is not installed, or the pipeline fails.
        """
        with _playing(self._pipeline) as (pictures, why_ended):
            for image in read_y4m(pictures):
                if self._pause(0.0):
                    return
                now = self._clock()
                if self._wanted(now):
                    yield Frame(image, now)
            raise VideoError(f"gstreamer: {why_ended()}")


def launch_line(pipeline: str, descriptor: int) -> list[str]:
    """Return the command that plays a pipeline and writes its pictures to a descriptor as YUV4MPEG2.

    Raises:
        VideoError: when its quotes do not match.
    """
    try:
        elements = shlex.split(_TO_BGR.sub("", _SINK.sub("", pipeline)))
    except ValueError as error:
        raise VideoError(f"gstreamer: the pipeline cannot be read ({error})") from error
    return [_LAUNCHER, "--quiet", *elements, *f"{_ENDING}{descriptor}".split()]


@contextlib.contextmanager
def _playing(pipeline: str) -> Iterator[tuple[IO[bytes], Callable[[], str]]]:
    """Play a pipeline; give its pictures, and a way to ask why it has ended."""
    if shutil.which(_LAUNCHER) is None:
        raise VideoError(f"there is no {_LAUNCHER} here: install GStreamer's tools (gstreamer1.0-tools)")
    reading, writing = os.pipe()
    with open(reading, "rb") as pictures:
        try:
            process = subprocess.Popen(
                launch_line(pipeline, writing),
                pass_fds=(writing,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        finally:
            os.close(writing)
        with process:
            said: deque[bytes] = deque(maxlen=_LAST_LINES)
            # Read all the time, or a talkative pipeline would block.
            listener = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
            listener.start()
            try:
                yield pictures, lambda: _reason(process, listener, said)
            finally:
                process.kill()
                listener.join()


def _reason(process: subprocess.Popen[bytes], listener: threading.Thread, said: Iterable[bytes]) -> str:
    """Return why a pipeline has ended, in GStreamer's words."""
    listener.join(_TO_END)
    found = _ERROR.search(b"".join(said).decode(errors="replace"))
    if found:
        return found[1].strip()
    code = process.poll()
    if code is not None and code < 0:
        return f"the pipeline died of {signal.Signals(-code).name}"
    return "the pipeline has ended"
