"""A network camera by RTSP, decoded by OpenCV's FFmpeg."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import cv2

from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.grabbing import grab_frames
from vedette_edge.sources.network import read_password, reason_of, refusal, shown, with_credentials
from vedette_edge.types import Frame

__all__ = ["RtspSource", "diagnose"]

_PORT = 554
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})[ \r\n]")
_ANSWER = 2.0  # seconds that a camera may take to answer `diagnose`


class RtspSource:
    """Plays a stream; each frame is dated when it arrives."""

    def __init__(
        self,
        url: str,
        pause: Pause,
        clock: Clock = time.monotonic,
        transport: Literal["tcp", "udp"] = "tcp",
        username: str | None = None,
        password_file: str | None = None,
        password_env: str | None = None,
        timeout: float = 10.0,
        decoder_threads: int = 1,
        wanted: Wanted = always,
    ) -> None:
        """Play `url`.

        Args:
            url: the stream, without credentials.
            pause: how to learn that it is time to end.
            clock: seconds, rising.
            transport: tcp loses nothing, udp does not wait for what was lost.
            username: for cameras that ask.
            password_file: its first line is the password.
            password_env: the environment variable that holds it.
            timeout: seconds that the camera may take to answer, and to send the next packet.
            decoder_threads: more carry larger pictures, but each keeps one frame back; 0: FFmpeg's choice.
            wanted: which frames are converted and given.
        """
        self._url = url
        self._pause = pause
        self._clock = clock
        self._transport = transport
        self._username = username
        self._password_file = password_file
        self._password_env = password_env
        self._timeout = timeout
        self._threads = decoder_threads
        self._wanted = wanted

    def frames(self) -> Iterator[Frame]:
        """Yield frames while the camera sends some.

        Raises:
            VideoError: when the stream cannot be opened, or breaks off.
        """
        password = read_password(self._password_file, self._password_env)
        capture = self._open(with_credentials(self._url, self._username, password))
        try:
            yield from grab_frames(capture, self._pause, self._clock, self._wanted)
            if not self._pause(0.0):
                raise VideoError(f"{shown(self._url)}: the stream broke off")
        finally:
            capture.release()

    def _open(self, url: str) -> cv2.VideoCapture:
        # Valid for the whole process, which has this one source. Without the probe of the frame rate, which
        # nobody asks for, the first frame comes almost a second earlier.
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{self._transport}|fpsprobesize;0"
        milliseconds = round(self._timeout * 1000)
        parameters = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
            *(cv2.CAP_PROP_N_THREADS, self._threads),
        ]
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, parameters)
        if not capture.isOpened():
            why = diagnose(self._url, has_username=self._username is not None)
            raise VideoError(f"{shown(self._url)}: cannot be opened: {why}")
        return capture


def diagnose(url: str, *, has_username: bool) -> str:
    """Ask a camera that FFmpeg could not open for its stream's description; return what is wrong with it.

    Args:
        url: the stream, without credentials.
        has_username: whether FFmpeg had credentials to show.
    """
    parts = urlsplit(url)
    request = f"DESCRIBE {shown(url)} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    try:
        with socket.create_connection((parts.hostname or "", parts.port or _PORT), _ANSWER) as connection:
            connection.sendall(request.encode())
            answer = connection.recv(4096)
    except (OSError, UnicodeError) as error:
        return reason_of(error).lower()
    status = _STATUS.match(answer)
    if status is None:
        return "there is no RTSP at this port"
    return refusal(int(status[1]), has_username=has_username)
