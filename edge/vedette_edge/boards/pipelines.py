"""Puts a board's own GStreamer pipelines in the place of their names in a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vedette_edge.boards.profiles import Profile

__all__ = ["with_pipelines"]

_USUAL = {"sensor": 0, "width": 1280, "height": 720, "fps": 30}


def with_pipelines(profile: Profile, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's document whose cameras have the board's pipelines instead of their names.

    A source `{type: gstreamer, pipeline: csi}` names one; `sensor`, `width`, `height` and `fps` beside it
    fill its gaps. What is not of that form, valid or not, stays as it is.
    """
    cameras = document.get("cameras")
    if not isinstance(cameras, list):
        return dict(document)
    return {**document, "cameras": [_with_pipeline(profile, camera) for camera in cameras]}


def _with_pipeline(profile: Profile, camera: Any) -> Any:
    source = camera.get("source") if isinstance(camera, Mapping) else None
    if not isinstance(source, Mapping) or source.get("type") != "gstreamer":
        return camera
    name = source.get("pipeline")
    template = profile.pipelines.get(name) if isinstance(name, str) else None
    if template is None:
        return camera
    given = {key: value for key, value in source.items() if key in _USUAL}
    return {**camera, "source": {**source, "pipeline": template.format(**_USUAL | given)}}
