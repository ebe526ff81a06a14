"""A GStreamer pipeline: cameras on CSI, hardware decoders, whatever has a plug-in.

It runs as `gst-launch-1.0` beside the capture process and hands over raw pictures by a pipe, because OpenCV
from PyPI has no GStreamer. It dies with its capture process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import IO

from vedette_edge.errors import VideoError
from vedette_edge.lifetime import die_with_parent
from vedette_edge.sources.base import Clock, Pause
from vedette_edge.sources.y4m import read_y4m
from vedette_edge.types import Frame

__all__ = ["GStreamerSource", "launch_line"]

_LAUNCHER = "gst-launch-1.0"
_SINK = re.compile(r"!\s*(appsink|autovideosink|fakesink)\b[^!]*$")
# Sizes whose rows need no padding, which y4menc writes into the stream without a word (GStreamer 1.22).
_FORMAT = "video/x-raw,format=I420,colorimetry=bt601,width=[8,16384,8],height=[2,16384,2]"
# What nobody fetches is old already.
_NEWEST = "queue leaky=downstream max-size-buffers=1"
_ENDING = f"! {_NEWEST} ! videoscale ! videoconvert ! {_FORMAT} ! y4menc ! fdsink"
_ERROR = re.compile(r"^(?:ERROR: (?:from element \S+: )?|.*erroneous pipeline: )(.+)$", re.MULTILINE)
_LAST_WORDS = 65_536  # bytes
_TO_END = 2.0  # seconds


class GStreamerSource:
    """Plays a pipeline; each frame is dated when it arrives."""

    def __init__(self, pipeline: str, pause: Pause, clock: Clock = time.monotonic) -> None:
        """Play `pipeline`.

        Args:
            pipeline: from the camera to raw video, as for `gst-launch-1.0`; a sink at its end is left out.
            pause: how to learn that it is time to end.
            clock: seconds, rising.
        """
        self._pipeline = pipeline
        self._pause = pause
        self._clock = clock

    def frames(self) -> Iterator[Frame]:
        """Yield frames while the pipeline gives some.

        Raises:
            VideoError: when GStreamer is not installed, or the pipeline fails.
        """
        with self._playing() as (process, pictures):
            for image in read_y4m(pictures):
                if self._pause(0.0):
                    return
                yield Frame(image, self._clock())
            raise VideoError(f"gstreamer: {_reason(process)}")

    @contextlib.contextmanager
    def _playing(self) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        if shutil.which(_LAUNCHER) is None:
            raise VideoError(f"there is no {_LAUNCHER} here: install GStreamer's tools (gstreamer1.0-tools)")
        process = subprocess.Popen(
            launch_line(self._pipeline),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        assert process.stdout is not None
        with process:
            try:
                yield process, process.stdout
            finally:
                process.kill()


def launch_line(pipeline: str) -> list[str]:
    """Return the command that plays a pipeline and writes its pictures to standard output as YUV4MPEG2.

    Raises:
        VideoError: when its quotes do not match.
    """
    try:
        elements = shlex.split(_SINK.sub("", pipeline))
    except ValueError as error:
        raise VideoError(f"gstreamer: the pipeline cannot be read ({error})") from error
    return [_LAUNCHER, "--quiet", *elements, *_ENDING.split()]


def _reason(process: subprocess.Popen[bytes]) -> str:
    """Return why a pipeline has ended, in GStreamer's words."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_TO_END)
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    said = (process.stderr.read(_LAST_WORDS) or b"").decode(errors="replace")
    found = _ERROR.search(said)
    if found:
        return found[1].strip()
    code = process.returncode
    if code is not None and code < 0:
        return f"the pipeline died of {signal.Signals(-code).name}"
    return "the pipeline has ended"
