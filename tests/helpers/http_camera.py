"""A camera by HTTP on loopback, whose every byte a test decides."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import cv2
from edge_helpers import picture

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def jpeg(light: bool = True) -> bytes:
    return cv2.imencode(".jpg", picture(light))[1].tobytes()


def part(body: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(body), body)


class HttpCamera:
    """Answers each connection with what `answer(request)` yields; then hangs up."""

    def __init__(self, answer: Callable[[bytes], Iterator[bytes]]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/video?token=secret"
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            for data in self._answer(request):
                connection.sendall(data)
                if self.stopping.is_set():
                    return


@contextlib.contextmanager
def http_camera(answer: Callable[[bytes], Iterator[bytes]]):
    camera = HttpCamera(answer)
    try:
        yield camera
    finally:
        camera.close()
