"""A real RTSP server on loopback, GStreamer's. As a script it is the server; as a module it starts one.

The server needs PyGObject, which belongs to the system's Python:

    apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,ugly}
    /usr/bin/python3 tests/helpers/rtsp_server.py 8554 [user password]

then plays a ball at rtsp://127.0.0.1:8554/ball, H.264, 320x240, 25 frames a second.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PYTHON = "/usr/bin/python3"
PATH = "/ball"
ENCODERS = {
    "x264enc": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25",
    "openh264enc": "openh264enc gop-size=25",
}
PROBE = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert any(Gst.ElementFactory.find(name) for name in {encoders}), "no H.264 encoder"
"""


@functools.cache
def why_absent() -> str:
    """Return why there is no RTSP server here; "" where there is one."""
    if shutil.which(PYTHON) is None:
        return f"there is no {PYTHON}"
    probe = PROBE.format(encoders=list(ENCODERS))
    done = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, check=False)
    return f"GStreamer's RTSP server is not installed: {done.stderr[-200:]}" if done.returncode else ""


class RtspServer:
    """A camera that can be stopped, frozen and started again at the same address."""

    def __init__(self, port: int, *credentials: str) -> None:
        self.url = f"rtsp://127.0.0.1:{port}{PATH}"
        self._command = [PYTHON, str(Path(__file__)), str(port), *credentials]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process.stdout.close()
            self._process = None


@contextlib.contextmanager
def rtsp_server(port: int, *credentials: str):
    server = RtspServer(port, *credentials)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def serve(port: str, *credentials: str) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    encoder = next(line for name, line in ENCODERS.items() if Gst.ElementFactory.find(name))
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 "
        f"! {encoder} ! rtph264pay name=pay0 pt=96 )"
    )
    if credentials:
        user, password = credentials
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        auth.add_digest(user, password, token)
        auth.set_supported_methods(2)  # digest, which sends no password over the wire
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.new_from_string("viewer,media.factory.access=true,media.factory.construct=true")
        )
    server.get_mount_points().add_factory(PATH, factory)
    assert server.attach(None), f"port {port} is taken"
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(*sys.argv[1:])
