"""A web server that serves a directory as it is, and counts; each device has one of its own."""

from __future__ import annotations

import functools
import http.server
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["Served", "Traffic"]


@dataclass(frozen=True)
class Traffic:
    """What was asked for and sent: requests, and bytes of the answers' bodies."""

    requests: int = 0
    bytes: int = 0

    def __sub__(self, before: Traffic) -> Traffic:
        """Return what came since."""
        return Traffic(self.requests - before.requests, self.bytes - before.bytes)


class Served:
    """Serves `directory` on a free port of loopback, until `close`; a thief would exchange it."""

    def __init__(self, directory: Path) -> None:
        """Begin."""
        self.directory = directory
        self.traffic = Traffic()
        served = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def translate_path(self, path: str) -> str:
                self.directory = str(served.directory)
                return super().translate_path(path)

            def copyfile(self, source: Any, outputfile: Any) -> None:
                super().copyfile(source, _Counted(outputfile, served))

            def log_request(self, *_: object) -> None:
                served.add(1, 0)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as its base calls it
                pass

        handler = functools.partial(Handler, directory=str(directory))
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, requests: int, sent: int) -> None:
        """Count; from any thread."""
        with self._lock:
            self.traffic = Traffic(self.traffic.requests + requests, self.traffic.bytes + sent)

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class _Counted:
    def __init__(self, file: IO[bytes], served: Served) -> None:
        self._file, self._served = file, served

    def write(self, data: bytes) -> int:
        self._served.add(0, len(data))
        return self._file.write(data)
