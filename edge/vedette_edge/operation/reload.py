"""Live reload: what differs between two configurations, and a configuration that comes over MQTT.

`difference` says what must be done and no more, so that a camera whose thresholds changed keeps watching, and
one that was added does not interrupt the others. `apply_remote` tries a document before anything is written.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vedette_edge.bundle import open_bundle
from vedette_edge.config import AgentConfig, CameraConfig, check_cameras, parse_config
from vedette_edge.errors import ConfigError, VedetteError
from vedette_edge.files import write_atomically
from vedette_edge.ota.bundles import resolved
from vedette_edge.topics import ConfigReport

__all__ = [
    "BACKUP_SUFFIX",
    "Difference",
    "apply_remote",
    "difference",
    "fits_its_models",
    "less_what_needs_a_restart",
    "reload_config",
]

T = TypeVar("T")

BACKUP_SUFFIX = ".before"
_MAX_BYTES = 262_144
# Of a camera: what can change while it watches.
_TUNING = frozenset({"decision", "labels", "priority", "rules"})
# Of the whole: what the running agent can take over at once; the models. The
# cameras are compared one by one. All else needs a new process.
_LIVE = frozenset({"metrics_interval", "drain_timeout", "governor"})
_OF_MODELS = frozenset({"bundle", "variant", "threads", "models"})
# What could cut the node off from who sent it, and where its models come from: only by hand.
_BY_HAND = ("site", "node", "state_dir", "mqtt", "commands", "ota")


@dataclass(frozen=True, slots=True)
class Difference:
    """What to do to get from one configuration to another.

    Attributes:
        added: cameras to start.
        removed: cameras to stop.
        changed: cameras to stop and start again.
        retuned: cameras that get another decision, labels, priority or model, and go on.
        models_added: models to load.
        models_removed: models that no camera needs any more.
        models_changed: models to load anew; their cameras are among `changed` or `retuned`.
        settings: sections that the running agent takes over.
        restart: sections for which the process must start again.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    retuned: tuple[str, ...] = ()
    models_added: tuple[str, ...] = ()
    models_removed: tuple[str, ...] = ()
    models_changed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Return what is done, for people."""
        texts = {
            "camera '{}' is added": self.added,
            "camera '{}' is removed": self.removed,
            "camera '{}' starts again": self.changed,
            "camera '{}' is retuned": self.retuned,
            "model '{}' is loaded": self.models_added,
            "model '{}' is removed": self.models_removed,
            "model '{}' is loaded anew": self.models_changed,
            "'{}' is taken over": self.settings,
            "'{}' needs a restart of the agent": self.restart,
        }
        return tuple(text.format(name) for text, names in texts.items() for name in names)


def difference(
    old: AgentConfig, new: AgentConfig, anew: Collection[str] = (), alike: Collection[str] = ()
) -> Difference:
    """Return what must be done to get from `old` to `new`.

    Args:
        old: what runs.
        new: what shall run.
        anew: models whose bundle is another, though it lies where it lay.
        alike: models whose new bundle takes the frames that the old one took: their cameras go on.
    """
    before = {camera.id: camera for camera in old.cameras}
    after = {camera.id: camera for camera in new.cameras}
    models_before, models_after = old.every_model, new.every_model
    models_changed = tuple(
        name
        for name, model in models_before.items()
        if name in models_after and (name in anew or models_after[name] != model)
    )
    sections = {name for name in AgentConfig.model_fields if getattr(old, name) != getattr(new, name)}

    def is_changed(name: str) -> bool:
        models = old.models_of(before[name])
        return (
            models.keys() != new.models_of(after[name]).keys()
            or not models.keys().isdisjoint(set(models_changed) - set(alike))
            or bool(_differing(before[name], after[name]) - _TUNING - {"models"})
        )

    def is_retuned(name: str) -> bool:
        models = old.models_of(before[name])
        return before[name] != after[name] or not models.keys().isdisjoint(models_changed)

    staying = [name for name in after if name in before]
    changed = tuple(name for name in staying if is_changed(name))
    return Difference(
        added=_only_in(after, before),
        removed=_only_in(before, after),
        changed=changed,
        retuned=tuple(name for name in staying if name not in changed and is_retuned(name)),
        models_added=_only_in(models_after, models_before),
        models_removed=_only_in(models_before, models_after),
        models_changed=models_changed,
        settings=tuple(sorted(sections & _LIVE)),
        restart=tuple(sorted(sections - _LIVE - _OF_MODELS - {"cameras"})),
    )


def less_what_needs_a_restart(before: AgentConfig, after: AgentConfig) -> AgentConfig:
    """Return a configuration as far as a running agent can take it over."""
    kept = difference(before, after).restart
    return after.model_copy(update={name: getattr(before, name) for name in kept})


def _differing(one: CameraConfig, other: CameraConfig) -> set[str]:
    return {name for name in CameraConfig.model_fields if getattr(one, name) != getattr(other, name)}


def _only_in(these: Mapping[str, T], those: Mapping[str, T]) -> tuple[str, ...]:
    return tuple(name for name in these if name not in those)


def _unequal(these: Mapping[str, T], those: Mapping[str, T]) -> tuple[str, ...]:
    return tuple(name for name in those if name in these and these[name] != those[name])


Check = Callable[[AgentConfig], None]
"""Raises a `VedetteError` when a configuration does not fit this device, such as its models."""


def fits_its_models(config: AgentConfig) -> None:
    """Tell whether the models of a configuration can be read, and its cameras' settings fit them.

    Raises:
        VedetteError: when not.
    """
    config = resolved(config)
    bundles = {name: open_bundle(model.bundle) for name, model in config.every_model.items()}
    check_cameras(config, {name: bundle.manifest for name, bundle in bundles.items()})


def reload_config(
    path: Path,
    current: AgentConfig,
    check: Check = fits_its_models,
    now: Callable[[], float] = time.time,
) -> tuple[AgentConfig | None, ConfigReport]:
    """Read the configuration's file again; return it where it is right, and what to publish.

    Args:
        path: the file.
        current: the configuration in force.
        check: tells whether a configuration fits this device.
        now: Unix time, seconds.
    """
    try:
        document = path.read_bytes()
    except OSError as error:
        sentence = f"{path}: cannot read this configuration ({error.strerror})"
        return None, _report(b"", now, error=sentence)
    try:
        config = _tried(document, path, check)
    except VedetteError as error:
        return None, _report(document, now, error=str(error))
    return config, _report(document, now, difference(current, config))


def apply_remote(
    document: bytes,
    path: Path,
    current: AgentConfig,
    check: Check = fits_its_models,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> ConfigReport:
    """Put a configuration that came from afar in the place of the file; `reload_config` then reads it.

    Where it is wrong, or would change what could cut the node off, nothing is written. The file of before
    stays beside it with the suffix `.before`.

    Args:
        document: YAML, 256 KiB at most.
        path: the configuration's file.
        current: the configuration in force.
        check: tells whether a configuration fits this device.
        dry_run: only say what would be done.
        now: Unix time, seconds.
    """
    try:
        if len(document) > _MAX_BYTES:
            raise ConfigError(f"the configuration has {len(document)} bytes, at most {_MAX_BYTES} are taken")
        config = _tried(document, path, check)
        _refuse_what_cuts_off(current, config)
        if not dry_run:
            _replace(path, document)
    except VedetteError as error:
        return _report(document, now, error=str(error), dry_run=dry_run)
    return _report(document, now, difference(current, config), dry_run=dry_run)


def _tried(document: bytes, path: Path, check: Check) -> AgentConfig:
    config = parse_config(document, path)
    check(config)
    return config


def _refuse_what_cuts_off(current: AgentConfig, config: AgentConfig) -> None:
    touched = [name for name in _BY_HAND if getattr(current, name) != getattr(config, name)]
    if touched:
        raise ConfigError(
            f"{', '.join(touched)}: cannot be changed from afar, as it could cut the node off or mislead it; "
            "change it in the file on the device"
        )


def _replace(path: Path, document: bytes) -> None:
    try:
        write_atomically(path.with_name(path.name + BACKUP_SUFFIX), path.read_bytes())
        write_atomically(path, document)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot write the configuration ({error.strerror}); for a node that is configured from "
            "afar it must lie where the agent may write, such as its state_dir"
        ) from error


def _report(
    document: bytes,
    now: Callable[[], float],
    found: Difference | None = None,
    *,
    error: str = "",
    dry_run: bool = False,
) -> ConfigReport:
    return ConfigReport(
        ts=now(),
        ok=found is not None,
        dry_run=dry_run,
        sha256=hashlib.sha256(document).hexdigest(),
        error=error,
        changes=found.sentences() if found else (),
    )
