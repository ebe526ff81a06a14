"""The cameras: whether this user may open them, and whether they give a picture."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vedette_edge.config import CameraConfig
from vedette_edge.errors import VedetteError, VideoError
from vedette_edge.operation.doctor.finding import Finding, fail, ok, warn
from vedette_edge.operation.status import CameraState
from vedette_edge.sources import open_source
from vedette_edge.types import Frame

__all__ = ["camera", "camera_in_use", "device", "first_frame"]

_PATIENCE = 20.0  # seconds to the first frame


def first_frame(config: CameraConfig, seconds: float = _PATIENCE) -> Frame:
    """Return the first frame of a camera.

    Raises:
        VideoError: when there is none within the time, or the camera cannot be opened.
    """
    answers: queue.SimpleQueue[Frame | Exception] = queue.SimpleQueue()
    over = threading.Event()

    def look() -> None:
        try:
            options = config.source.model_dump(mode="json", exclude={"type"})
            source = open_source(config.source.type, options, over.wait, time.monotonic)
            answers.put(next(iter(source.frames()), None) or VideoError("it ended without a picture"))
        except Exception as error:
            answers.put(error)

    # A daemon: a decoder that hangs cannot be ended, and must not keep the process.
    threading.Thread(target=look, name=f"look-{config.id}", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise VideoError(f"no picture within {seconds:g} s") from None
    finally:
        over.set()
    if isinstance(answer, Exception):
        raise answer
    return answer


def camera(config: CameraConfig, look: Callable[[CameraConfig], Frame] = first_frame) -> Finding:
    """Tell whether a camera gives a picture."""
    subject = f"camera {config.id}"
    if not config.enabled:
        return ok(subject, "disabled")
    try:
        height, width = look(config).image.shape[:2]
    except VedetteError as error:
        return fail(subject, str(error), "check its address, its cable, and that nobody else holds it")
    return ok(subject, f"gives pictures of {width} x {height}")


def camera_in_use(state: CameraState) -> Finding:
    """Tell what the running agent says of a camera: it could not be opened a second time."""
    subject = f"camera {state.id}"
    text = f"the running agent says {state.status}" + (f": {state.reason}" if state.reason else "")
    if state.status in ("stalled", "offline"):
        return fail(subject, text, "check its address, its cable, and that it has power")
    return ok(subject, text)


def device(path: Path, may: Callable[[Path, int], bool] = os.access) -> Finding:
    """Tell whether this user may use a device file."""
    subject = f"device {path}"
    if not path.exists():
        return fail(subject, "it is not there", "check the cable; see what there is: v4l2-ctl --list-devices")
    if not may(path, os.R_OK | os.W_OK):
        return warn(
            subject, "this user may not use it", "add the agent's user to its group: usermod -aG video USER"
        )
    return ok(subject, "may be used")
