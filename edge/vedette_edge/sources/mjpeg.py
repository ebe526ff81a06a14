"""A network camera that sends JPEG pictures over HTTP."""

from __future__ import annotations

import base64
import http.client
import logging
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import cv2
import numpy as np

from vedette_edge.errors import VideoError
from vedette_edge.sources.base import Clock, Pause, Wanted, always
from vedette_edge.sources.multipart import Multipart, boundary_of
from vedette_edge.sources.network import read_password, reason_of, refusal, shown
from vedette_edge.types import Frame

__all__ = ["MjpegSource"]

_log = logging.getLogger(__name__)

_CHUNK = 65_536


class MjpegSource:
    """Plays a stream; each frame is dated when it arrives. A picture that cannot be decoded is left out."""

    def __init__(
        self,
        url: str,
        pause: Pause,
        clock: Clock = time.monotonic,
        username: str | None = None,
        password_file: str | None = None,
        password_env: str | None = None,
        ca_file: str | None = None,
        timeout: float = 10.0,
        max_picture_bytes: int = 8_388_608,
        wanted: Wanted = always,
    ) -> None:
        """Play `url`.

        Args:
            url: the stream, http or https, without credentials.
            pause: how to learn that it is time to end.
            clock: seconds, rising.
            username: for cameras that ask.
            password_file: its first line is the password.
            password_env: the environment variable that holds it.
            ca_file: certificates that https trusts, PEM; None: the system's.
            timeout: seconds that the camera may take to answer, and to send the next bytes.
            max_picture_bytes: longer pictures end the stream.
            wanted: which pictures are decoded and given.
        """
        self._url = url
        self._pause = pause
        self._clock = clock
        self._username = username
        self._password_file = password_file
        self._password_env = password_env
        self._ca_file = ca_file
        self._timeout = timeout
        self._most = max_picture_bytes
        self._wanted = wanted

    def frames(self) -> Iterator[Frame]:
        """Yield frames while the camera sends some.

        Raises:
            VideoError: when the stream cannot be opened, is none, or breaks off.
        """
        headers = self._headers()
        try:
            connection = self._connect()
            try:
                yield from self._frames_of(connection, headers)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise VideoError(f"{shown(self._url)}: {reason_of(error).lower()}") from error
        except VideoError as error:
            raise VideoError(f"{shown(self._url)}: {error}") from error

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.netloc, timeout=self._timeout)
        context = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(parts.netloc, timeout=self._timeout, context=context)

    def _headers(self) -> dict[str, str]:
        if self._username is None:
            return {}
        password = read_password(self._password_file, self._password_env)
        credentials = base64.b64encode(f"{self._username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {credentials}"}

    def _frames_of(self, connection: http.client.HTTPConnection, headers: dict[str, str]) -> Iterator[Frame]:
        parts = urlsplit(self._url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as response:
            if response.status != http.client.OK:
                raise VideoError(refusal(response.status, has_username=self._username is not None))
            yield from self._pictures(response)

    def _pictures(self, response: http.client.HTTPResponse) -> Iterator[Frame]:
        multipart = Multipart(boundary_of(response.getheader("Content-Type", "")), self._most)
        told = False
        while not self._pause(0.0):
            data = response.read1(_CHUNK)
            if not data:
                raise VideoError("the stream broke off")
            for part in multipart.push(data):
                now = self._clock()
                if not self._wanted(now):
                    continue
                image = cv2.imdecode(np.frombuffer(part, np.uint8), cv2.IMREAD_COLOR)
                if image is not None:
                    yield Frame(np.asarray(image, dtype=np.uint8), now)
                elif not told:
                    told = True
                    _log.warning("%s: pictures that cannot be decoded are left out", shown(self._url))
