"""The kinds of sources, by name. A kind's module is imported when a source of it is opened.

Adding one takes a module with a class that has `frames` (see `base.Source`) and is built from the keys of
its section in the configuration and a `pause`, and one line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from vedette_edge.sources.base import Pause, Source

__all__ = ["SOURCES", "Pause", "Source", "open_source"]

SOURCES: dict[str, tuple[str, str]] = {
    "file": ("vedette_edge.sources.file", "FileSource"),
}


def open_source(kind: str, options: Mapping[str, Any], pause: Pause) -> Source:
    """Build a source.

    Args:
        kind: a key of `SOURCES`; the configuration allows no other.
        options: the keys of its section in the configuration, without `type`.
        pause: how the source waits, and learns that it shall end.
    """
    module_name, class_name = SOURCES[kind]
    source: Source = getattr(import_module(module_name), class_name)(**options, pause=pause)
    return source
