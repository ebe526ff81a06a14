"""How the node introduces itself: its models and cameras, in `birth` and for Home Assistant. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vedette_edge.config import AgentConfig, CameraConfig, alarm_labels
from vedette_edge.engine import Model
from vedette_edge.ota.record import Installed
from vedette_edge.publish.announce import Description
from vedette_edge.publish.home_assistant import AnnouncedCamera
from vedette_edge.topics import BirthCamera, BirthModel

__all__ = ["announced_cameras", "description"]


def description(
    config: AgentConfig, models: Mapping[str, Model], installed: Mapping[str, Installed]
) -> Description:
    """Return what the node runs, for `birth`; `installed` are those models that are updated."""
    return Description(
        tuple(_birth_model(name, model, installed.get(name)) for name, model in models.items()),
        tuple(BirthCamera(id=camera.id, source=camera.source.type) for camera in config.cameras),
    )


def announced_cameras(config: AgentConfig, models: Mapping[str, Model]) -> list[AnnouncedCamera]:
    """Return the cameras with the labels that may alarm there, for Home Assistant."""
    content_type = f"image/{config.snapshots.format}"
    return [
        AnnouncedCamera(camera.id, _alarms(config, camera, models), content_type) for camera in config.cameras
    ]


def _birth_model(name: str, model: Model, installed: Installed | None) -> BirthModel:
    return BirthModel(
        name=name,
        title=model.manifest.name,
        sha256=model.bundle.digest,
        variant=model.variant.name,
        runtime=model.variant.runtime,
        mode=model.variant.mode,
        labels=tuple(label.name for label in model.manifest.labels),
        release=installed.release if installed else None,
    )


def _alarms(config: AgentConfig, camera: CameraConfig, models: Mapping[str, Model]) -> tuple[str, ...]:
    manifests = [models[name].manifest for name in config.models_of(camera)]
    labels = [
        manifest.labels[index].name for manifest in manifests for index in alarm_labels(camera, manifest)
    ]
    return tuple(dict.fromkeys(labels))
