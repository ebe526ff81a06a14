"""A network camera on loopback: a dark room in which a bright and a dim lamp go on in turns, by the clock.

So what there was to be seen is known, whoever looked and whoever was just being started.
"""

from __future__ import annotations

import http.server
import math
import threading
import time
from types import TracebackType

import cv2
import numpy as np

__all__ = ["Camera"]

PERIOD = 3.0  # seconds from one lamp to the next
LIT = 1.3  # seconds
FPS = 10.0
_WIDTH, _HEIGHT = 160, 120
_BRIGHT, _DIM = 255, 130
_DARK = 16


class Camera:
    """Shows lamp k from `began + k * PERIOD` on; even ones are bright, odd ones dim."""

    def __init__(self) -> None:
        """Listen on a free port; nothing is shown before `with`."""
        camera = self
        self.began = time.time()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                camera.show(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as its base calls it
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._pictures = {
            name: _picture(light) for name, light in (("bright", _BRIGHT), ("dim", _DIM), ("", 0))
        }
        self._ending = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Camera:
        """Begin to show."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def show(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Send pictures until whoever looks goes away."""
        try:
            while not self._ending.wait(1 / FPS - time.time() % (1 / FPS)):
                picture = self._pictures[self._lamp(time.time())]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                handler.wfile.write(head.encode() + picture + b"\r\n")
        except OSError:
            pass

    def lamps(self, since: float, until: float) -> list[int]:
        """Return the lamps that went on and off again in a time, in Unix seconds."""
        first = math.ceil((since - self.began) / PERIOD)
        last = math.floor((until - LIT - self.began) / PERIOD)
        return list(range(max(first, 0), last + 1))

    def lamp_at(self, moment: float) -> int:
        """Return the lamp that was on lately."""
        return math.floor((moment - self.began) / PERIOD)

    def began_at(self, lamp: int) -> float:
        """Return the Unix time at which a lamp went on."""
        return self.began + lamp * PERIOD

    def _lamp(self, moment: float) -> str:
        number, phase = divmod(moment - self.began, PERIOD)
        if phase >= LIT:
            return ""
        return "dim" if number % 2 else "bright"


def _picture(light: int) -> bytes:
    image = np.full((_HEIGHT, _WIDTH, 3), _DARK, np.uint8)
    if light:
        image[_HEIGHT // 4 :, _WIDTH // 3 :] = np.maximum(light, _DARK)
    coded = cv2.imencode(".jpg", image)[1]
    return bytes(coded.tobytes())
