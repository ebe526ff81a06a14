"""Does a release suit this device: its board, the agent's version, and the cameras that would use it?

The first two are known before a byte is fetched, the third once the bundle is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vedette_edge import __version__
from vedette_edge.boards import detect, load_profiles, read_facts
from vedette_edge.bundle import open_bundle
from vedette_edge.choice import version_numbers
from vedette_edge.config import AUTO, AgentConfig, ModelConfig, check_cameras
from vedette_edge.config.load import NO_BOARD
from vedette_edge.errors import UpdateError, VedetteError
from vedette_edge.manifest import Manifest
from vedette_edge.ota.layout import ModelPlace
from vedette_edge.ota.record import read_record
from vedette_edge.ota.release import Release

__all__ = ["board_of", "check_agent", "check_fit", "is_for", "users_of"]


def board_of(config: AgentConfig) -> str | None:
    """Return the name of the board that a configuration is for: the one it names, or the one this is."""
    if config.board == NO_BOARD:
        return None
    if config.board != AUTO:
        return config.board
    profile = detect(read_facts(), load_profiles().values())
    return profile.name if profile else None


def is_for(release: Release, board: str | None) -> bool:
    """Tell whether a release is for a device of this board; None: it has no profile."""
    return not release.hardware or board in release.hardware


def check_agent(release: Release, version: str = __version__) -> None:
    """Tell whether this agent is new enough for a release.

    Raises:
        UpdateError: when it is not.
    """
    if release.agent is not None and version_numbers(release.agent) > version_numbers(version):
        raise UpdateError(
            f"release {release.release} needs agent {release.agent} or later, this is {version}: upgrade"
        )


def users_of(place: ModelPlace, models: Mapping[str, ModelConfig]) -> dict[str, ModelConfig]:
    """Return the models of a configuration that run what lies in a place of the store, by name.

    Raises:
        UpdateError: when there is none, so that nobody could try an update.
    """
    wanted = os.path.normpath(place.directory)
    found = {name: model for name, model in models.items() if os.path.normpath(model.bundle) == wanted}
    if not found:
        raise UpdateError(
            f"no model of the configuration runs what would be updated: set its bundle to {place.directory}, "
            "or leave it out of ota.models"
        )
    return found


def check_fit(bundle: Path, users: Mapping[str, ModelConfig], config: AgentConfig) -> None:
    """Tell whether the cameras' settings fit a bundle: labels, zones, thresholds.

    Args:
        bundle: its directory.
        users: the models of the configuration that would run it, by name.
        config: the configuration.

    Raises:
        UpdateError: when they do not, or its manifest cannot be read.
    """
    try:
        new = open_bundle(bundle).manifest
        others = {name: _now(model.bundle) for name, model in config.every_model.items() if name not in users}
        manifests = {name: manifest for name, manifest in others.items() if manifest is not None}
        check_cameras(config, manifests | dict.fromkeys(users, new))
    except VedetteError as error:
        raise UpdateError(f"it does not fit this device's configuration: {error}") from error
    triggered = [name for name, model in users.items() if model.trigger is not None]
    if triggered and new.task != "anomaly":
        raise UpdateError(
            f"it does not fit this device's configuration: models.{triggered[0]}.trigger is for a model of "
            f"task anomaly, this one is of task {new.task}"
        )


def _now(bundle: Path) -> Manifest | None:
    """Return the manifest of a model that runs now; None where it cannot be read, which blames nobody."""
    place = ModelPlace(bundle)
    try:
        if place.record.exists():
            committed = read_record(place.record).committed
            return open_bundle(place.slot(committed.slot)).manifest if committed else None
        return open_bundle(bundle).manifest
    except (VedetteError, OSError):
        return None
