"""The kinds of sources, by name. A kind's module is imported when a source of it is opened.

Adding one takes a section in `config/sources.py`; a module with a class that has `frames` (see
`base.Source`) and is built from the section's keys, as JSON values, a `pause`, a `clock` and what frames are
`wanted`; and one line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from vedette_edge.sources.base import Clock, Pause, Source, Wanted, always

__all__ = ["SOURCES", "Clock", "Pause", "Source", "Wanted", "open_source"]

SOURCES: dict[str, tuple[str, str]] = {
    "file": ("vedette_edge.sources.file", "FileSource"),
    "folder": ("vedette_edge.sources.folder", "FolderSource"),
    "rtsp": ("vedette_edge.sources.rtsp", "RtspSource"),
    "usb": ("vedette_edge.sources.usb", "UsbSource"),
    "gstreamer": ("vedette_edge.sources.gstreamer", "GStreamerSource"),
    "mjpeg": ("vedette_edge.sources.mjpeg", "MjpegSource"),
}


def open_source(
    kind: str, options: Mapping[str, Any], pause: Pause, clock: Clock, wanted: Wanted = always
) -> Source:
    """Build a source; nothing is opened before its `frames` are asked for.

    Args:
        kind: a key of `SOURCES`; the configuration allows no other.
        options: the keys of its section in the configuration, without `type`, as JSON values.
        pause: how the source waits, and learns that it shall end.
        clock: seconds, rising; a live source dates its frames with it.
        wanted: which frames are converted and given.
    """
    module_name, class_name = SOURCES[kind]
    build = getattr(import_module(module_name), class_name)
    source: Source = build(**options, pause=pause, clock=clock, wanted=wanted)
    return source
