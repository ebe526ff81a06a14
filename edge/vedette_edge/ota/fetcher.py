"""Fetches by HTTP from one origin, for a client that trusts neither the server nor the network.

- Every byte passes `Pace`, headers and chunk lengths too: a visit ends, and a trickle ends within a window.
- Every answer has a cap, heeded before the first byte where the server tells a length, and while reading.
- Nothing is decoded, so nothing can unfold: an answer with a content coding is refused.
- No credentials are sent, no cookies kept. A redirect is followed within the origin, three times.
- Nothing is retried here. 4xx ends the matter; 5xx, 408, 429 and broken connections are for the next visit.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import urllib3
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface
from urllib3.connection import HTTPConnection, HTTPSConnection

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.pace import Pace

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Fetcher", "Web", "body"]

_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_LATER = (408, 425, 429)
_CONNECT = 10.0  # seconds
_CHUNK: Final = 65_536
# Of an error's page: read to keep the connection, where it is that short.
_SMALL = 2048
_HEADERS = {"User-Agent": "vedette", "Accept-Encoding": "identity"}


class _PacedSocket(io.RawIOBase):
    """The one place where bytes of a server come in; `raw` holds the socket open."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._raw, self._sock, self._pace = raw, sock, pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        came: int | None = None
        while came is None:
            # Not by `raw`, which takes no more after a first timeout.
            self._sock.settimeout(self._pace.patience())
            with self._pace.waiting() as count:
                came = self._sock.recv_into(buffer)
                count(came)
        return came

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, pace: Pace, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedSocket(self.fp.detach(), sock, pace))


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, pace: Pace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = functools.partial(_PacedResponse, pace=pace)  # type: ignore[assignment]


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, pace: Pace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = functools.partial(_PacedResponse, pace=pace)  # type: ignore[assignment]


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Web:
    """One origin, for one visit."""

    def __init__(self, url: str, pace: Pace) -> None:
        """Make ready; nothing is sent yet.

        Args:
            url: any of the origin, http or https, without credentials.
            pace: of the visit.

        Raises:
            UpdateError: when it is no such address.
        """
        self._pace = pace
        self._origin = _origin(url)
        scheme, host, port = self._origin
        if scheme == "https":
            self._pool: urllib3.HTTPConnectionPool = _TlsPool(
                host, port, maxsize=1, pace=pace, ssl_context=ssl.create_default_context()
            )
        else:
            self._pool = _Pool(host, port, maxsize=1, pace=pace)

    def close(self) -> None:
        """Close what is open."""
        self._pool.close()

    @contextlib.contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] = {}, *, expected: tuple[int, ...] = ()
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Ask for something; give the answer, whose body is not read yet.

        Args:
            url: of the origin.
            headers: to send besides our own.
            expected: statuses of 400 and above that the caller understands.

        Raises:
            DownloadHTTPError: at another status of 400 to 499, for good.
            TransportError: when it cannot be had now, or only from elsewhere, or encoded.
        """
        with self._mapped_errors(url):
            answer = self._followed(url, headers)
            try:
                self._judge(url, answer, expected)
                yield answer
            finally:
                _finish(answer)

    def _followed(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(url, headers)
            if answer.status not in _REDIRECTS:
                return answer
            _finish(answer)
            url = self._within(url, answer.headers.get("Location", ""))
        raise TransportError(f"{url}: more than {_MOST_REDIRECTS} redirects; check the server")

    def _within(self, url: str, location: str) -> str:
        """Return where a redirect leads, if that is within the origin."""
        with contextlib.suppress(ValueError, UpdateError):
            following = urljoin(url, location)
            if _origin(following) == self._origin:
                return following
        raise TransportError(f"{url}: the server leads elsewhere ({location[:200]!r}), which is not followed")

    def _ask(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        self._pace.begin_request()
        parts = urlsplit(url)
        patience = self._pace.patience()
        return self._pool.urlopen(
            "GET",
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers={**_HEADERS, **headers},
            timeout=urllib3.Timeout(connect=min(_CONNECT, patience), read=patience),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    @staticmethod
    def _judge(url: str, answer: urllib3.BaseHTTPResponse, expected: tuple[int, ...]) -> None:
        status = answer.status
        if status in expected:
            return
        if status >= 500 or status in _LATER:
            raise TransportError(f"{url}: the server answered {status}; the next visit tries again")
        if status >= 400:
            raise DownloadHTTPError(f"{url}: the server answered {status}", status)
        if status not in (200, 206):
            raise TransportError(f"{url}: the server answered {status}, which is no answer to that")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise TransportError(f"{url}: the server encoded the answer, although it was asked not to")

    @contextlib.contextmanager
    def _mapped_errors(self, url: str) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise TransportError(f"{url}: cannot be fetched ({error}); the next visit tries again") from error


def body(url: str, answer: urllib3.BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """Give the body of an answer as it comes, and at most `most` bytes of it.

    Raises:
        TransportError: when the server announces more, before the first byte, or sends more; or too slowly.
    """
    told = answer.headers.get("Content-Length", "")
    if told.isdecimal() and int(told) > most:
        raise TransportError(f"{url} has {told} bytes, at most {most} are taken")
    count = 0
    while data := answer.read1(_CHUNK):
        count += len(data)
        if count > most:
            raise TransportError(f"{url} has more than {most} bytes, which is the most that is taken")
        yield data


class Fetcher(FetcherInterface):
    """Fetches metadata for the TUF client."""

    def __init__(self, web: Web) -> None:
        """Fetch by `web`."""
        self._web = web

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return what is at `url`, at most `max_length` bytes.

        Raises:
            DownloadHTTPError: at a status of 400 to 499.
            TransportError: as `Web.get` and `body`.
        """
        with self._web.get(url) as answer:
            return b"".join(body(url, answer, max_length))

    def _fetch(self, url: str) -> Iterator[bytes]:
        # A way without a cap: the TUF client takes it for targets only, which we fetch ourselves.
        raise NotImplementedError(f"{url}: fetch targets by vedette_edge.ota.download")


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError as error:
        raise UpdateError(f"{url!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise UpdateError(f"{url!r}: an address with http:// or https://, without credentials, is expected")
    return parts.scheme, parts.hostname, port


def _finish(answer: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back where nothing more will come over it, or little; else close it."""
    told = answer.headers.get("Content-Length", "")
    if answer.status >= 300 and told.isdecimal() and int(told) <= _SMALL:
        with contextlib.suppress(urllib3.exceptions.HTTPError, TransportError):
            while answer.read1(_CHUNK):
                pass
    if getattr(answer, "length_remaining", None) == 0:
        answer.release_conn()
    else:
        answer.close()
