"""Where a camera's frames come from, one class a kind; and how its capture process is watched."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from vedette_edge.config.sections import LocalPath, Section

__all__ = [
    "BackPressure",
    "CaptureConfig",
    "FileSourceConfig",
    "FolderSourceConfig",
    "GStreamerSourceConfig",
    "MjpegSourceConfig",
    "RtspSourceConfig",
    "SourceConfig",
    "UsbSourceConfig",
]

BackPressure: TypeAlias = Literal["drop-oldest", "latest", "wait"]
"""What happens to frames that the model has no time for: the oldest of four go, all but the newest go, or the
source waits."""

_PLAIN = re.compile(r"[!-~]{1,2048}")


class CaptureConfig(Section):
    """The process that decodes a camera."""

    frames: Literal["needed", "all"] = Field(
        default="needed",
        description="needed: those that a model, a clip or the tamper detection takes leave the process; "
        "with a gate, which looks at each, all.",
    )
    max_side: int = Field(
        default=1280, ge=32, le=8192, description="Pixels; larger frames are shrunk to it at once."
    )
    stall_after: float = Field(
        default=5.0, gt=0, le=3600, description="Seconds without a frame before it is killed."
    )
    open_within: float = Field(default=20.0, gt=0, le=3600, description="Seconds to the first frame.")
    longest_retry: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds between two attempts, at most."
    )


class _Source(Section):
    """Any source."""

    def options(self) -> dict[str, Any]:
        """Return what the source is built from, as JSON values."""
        return self.model_dump(mode="json", exclude={"type"})


class _Recorded(_Source):
    """A source with an end."""

    pace: Literal["realtime", "fast"] = Field(
        default="realtime",
        description="realtime: as a camera would, frames are dropped when the model is behind. "
        "fast: as fast as the model goes, every frame is kept.",
    )

    @property
    def back_pressure(self) -> BackPressure:
        """What to do where the camera's configuration does not say."""
        return "wait" if self.pace == "fast" else "drop-oldest"

    @property
    def live(self) -> bool:
        """Whether the source has no end of its own: then it is opened again when it ends or fails."""
        return False


class _Live(_Source):
    """A source without an end."""

    @property
    def back_pressure(self) -> BackPressure:
        """What to do where the camera's configuration does not say."""
        return "drop-oldest"

    @property
    def live(self) -> bool:
        """Whether the source has no end of its own: then it is opened again when it ends or fails."""
        return True


class _Network(_Live):
    """A camera with an address, and perhaps a password."""

    _schemes: ClassVar[tuple[str, ...]]

    url: str = Field(description="The stream, without credentials.")
    username: str | None = None
    password_file: LocalPath | None = Field(default=None, description="Its first line is the password.")
    password_env: str | None = Field(
        default=None, description="The environment variable that holds the password."
    )
    timeout: float = Field(default=10.0, gt=0, le=300, description="Seconds for an answer, or for data.")

    # Of the whole section, because the error of a single field shows its value.
    @model_validator(mode="after")
    def _address_is_safe(self) -> _Network:
        schemes = " or ".join(f"{scheme}://" for scheme in self._schemes)
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in self._schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not _PLAIN.fullmatch(self.url):
            raise ValueError(f"the url must be {schemes}, a host, and perhaps a port and a path, in ASCII")
        if "@" in parts.netloc:
            raise ValueError("the url holds credentials: give username, and password_file or password_env")
        return self

    @model_validator(mode="after")
    def _credentials_belong_together(self) -> _Network:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("give password_file or password_env, not both")
        if self.username is None and (self.password_file or self.password_env):
            raise ValueError("password_file and password_env need a username")
        return self


class FileSourceConfig(_Recorded):
    """A video file in the place of a camera."""

    type: Literal["file"]
    path: LocalPath = Field(description="The video.")


class FolderSourceConfig(_Recorded):
    """A folder of pictures in the place of a camera, in natural order of their names."""

    type: Literal["folder"]
    path: LocalPath = Field(description="The folder.")
    fps: float = Field(default=25.0, gt=0, le=1000, description="Pictures a second; a folder has no clock.")


class RtspSourceConfig(_Network):
    """A network camera by RTSP."""

    type: Literal["rtsp"]
    transport: Literal["tcp", "udp"] = Field(
        default="tcp", description="tcp loses nothing; udp does not wait for what was lost."
    )
    decoder_threads: int = Field(
        default=1, ge=0, le=16, description="More carry larger pictures, but each keeps one frame back."
    )

    _schemes: ClassVar[tuple[str, ...]] = ("rtsp",)


class MjpegSourceConfig(_Network):
    """A network camera that sends JPEG pictures over HTTP."""

    type: Literal["mjpeg"]
    ca_file: LocalPath | None = Field(
        default=None, description="Certificates that https trusts, PEM; null: the system's."
    )
    max_picture_bytes: int = Field(
        default=8_388_608, ge=1024, le=134_217_728, description="Longer pictures end the stream."
    )

    _schemes: ClassVar[tuple[str, ...]] = ("http", "https")


class UsbSourceConfig(_Live):
    """A camera on USB, or any other that Video4Linux knows."""

    type: Literal["usb"]
    device: Annotated[int, Field(ge=0, le=255)] | str = Field(
        default=0, description="The number in /dev/videoN, or a path."
    )
    width: int | None = Field(default=None, ge=16, le=16384, description="Pixels to ask for.")
    height: int | None = Field(default=None, ge=16, le=16384, description="Pixels to ask for.")
    fps: float | None = Field(default=None, gt=0, le=1000, description="Frames a second to ask for.")
    fourcc: str | None = Field(
        default=None, pattern=r"^[ -~]{4}$", description="Pixel format to ask for, such as MJPG."
    )


class GStreamerSourceConfig(_Live):
    """A GStreamer pipeline, for cameras on CSI and hardware decoders."""

    type: Literal["gstreamer"]
    pipeline: str = Field(
        min_length=1,
        max_length=4096,
        description="From the camera to raw video, as for gst-launch-1.0; or the name of one of the board's.",
    )
    sensor: int = Field(default=0, ge=0, le=255, description="Which camera, for the board's.")
    width: int = Field(default=1280, ge=16, le=16384, description="Pixels, for the board's.")
    height: int = Field(default=720, ge=16, le=16384, description="Pixels, for the board's.")
    fps: int = Field(default=30, ge=1, le=1000, description="Frames a second, for the board's.")

    def options(self) -> dict[str, Any]:
        """Return what the source is built from; the rest has filled the board's pipeline by now."""
        return {"pipeline": self.pipeline}


SourceConfig: TypeAlias = Annotated[
    FileSourceConfig
    | FolderSourceConfig
    | RtspSourceConfig
    | UsbSourceConfig
    | GStreamerSourceConfig
    | MjpegSourceConfig,
    Field(discriminator="type"),
]
