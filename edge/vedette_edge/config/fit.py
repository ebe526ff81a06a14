"""Lays a camera's settings over those of its models, and tells whether they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from pydantic import ValidationError

from vedette_edge.config.agent import AgentConfig, CameraConfig
from vedette_edge.config.rules import DecisionOverride, RuleConfig
from vedette_edge.decision import Rule
from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision, Manifest
from vedette_edge.validation import describe_errors

__all__ = ["alarm_labels", "check_cameras", "decision_for", "rules_for"]


def decision_for(camera: CameraConfig, defaults: Decision) -> Decision:
    """Return the bundle's decision with a camera's overrides.

    Raises:
        ConfigError: when they contradict each other, such as an `off` above `on`.
    """
    return _overridden(defaults, camera.decision, f"camera '{camera.id}', decision")


def alarm_labels(camera: CameraConfig, manifest: Manifest) -> tuple[int, ...]:
    """Return the indices of a model's labels that raise events on a camera."""
    if camera.labels is None:
        return tuple(index for index, label in enumerate(manifest.labels) if label.alarm)
    return tuple(index for index, label in enumerate(manifest.labels) if label.name in camera.labels)


def rules_for(camera: CameraConfig, manifest: Manifest) -> tuple[Rule, ...]:
    """Return what each label of a model that raises events on a camera must do for that.

    Raises:
        ConfigError: when settings contradict each other, such as a `k` above `n`.
    """
    labels = alarm_labels(camera, manifest)
    return tuple(_rule(camera, manifest, index, manifest.labels[index].name) for index in labels)


def check_cameras(config: AgentConfig, manifests: Mapping[str, Manifest]) -> None:
    """Tell whether the cameras' settings fit each other and their models.

    Args:
        config: the configuration.
        manifests: of the models, by name; what concerns a model whose manifest is not there is not checked.

    Raises:
        ConfigError: when some do not; all of them are named.
    """
    checks: list[Callable[[], object]] = []
    for camera in config.cameras:
        names = config.models_of(camera)
        of_camera = [manifests[name] for name in names if name in manifests]
        checks += [partial(decision_for, camera, manifest.decision) for manifest in of_camera]
        checks += [
            partial(_rule, camera, manifest, index, manifest.labels[index].name)
            for manifest in of_camera
            for index in alarm_labels(camera, manifest)
        ]
        checks += [partial(_check_zones, camera, label) for label in camera.rules]
        if len(of_camera) == len(names):
            checks += [
                partial(_check_known, camera, "labels", camera.labels or (), of_camera),
                partial(_check_known, camera, "rules", camera.rules, of_camera),
                partial(_check_not_silent, camera, of_camera),
            ]
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(dict.fromkeys(problems)))


def _rule(camera: CameraConfig, manifest: Manifest, index: int, name: str) -> Rule:
    given = camera.rules.get(name, RuleConfig())
    of_camera = decision_for(camera, manifest.decision)
    decision = _overridden(of_camera, given, f"camera '{camera.id}', rules.{name}")
    schedule = given.schedule or camera.schedule
    return Rule(
        index,
        decision,
        None if given.zones is None else frozenset(given.zones),
        given.share,
        None if schedule is None else schedule.build(),
    )


def _overridden(defaults: Decision, override: DecisionOverride | RuleConfig, where: str) -> Decision:
    given = override.model_dump(include=set(Decision.model_fields), exclude_none=True)
    try:
        return Decision.model_validate(defaults.model_dump() | given)
    except ValidationError as error:
        problems = describe_errors(error, Decision).removeprefix("the file: ")
        raise ConfigError(f"{where}: {problems}") from error


def _check_known(camera: CameraConfig, key: str, given: Iterable[str], manifests: Sequence[Manifest]) -> None:
    known = _names(manifests)
    unknown = [name for name in given if name not in known]
    if unknown:
        models = ", ".join(f"'{manifest.name}'" for manifest in manifests)
        raise ConfigError(
            f"camera '{camera.id}', {key}: the model {models} has no {', '.join(unknown)}; "
            f"it has: {', '.join(known)}"
        )


def _check_not_silent(camera: CameraConfig, manifests: Sequence[Manifest]) -> None:
    alarming = {m.labels[index].name for m in manifests for index in alarm_labels(camera, m)}
    silent = [name for name in _names(manifests) if name in camera.rules and name not in alarming]
    if silent:
        raise ConfigError(
            f"camera '{camera.id}', rules: {', '.join(silent)} may not alarm; add it to labels, or drop it"
        )


def _check_zones(camera: CameraConfig, label: str) -> None:
    unknown = [name for name in camera.rules[label].zones or () if name not in camera.zones]
    if unknown:
        here = ", ".join(camera.zones) or "none"
        raise ConfigError(
            f"camera '{camera.id}', rules.{label}.zones: there is no {', '.join(unknown)}; there is: {here}"
        )


def _names(manifests: Sequence[Manifest]) -> list[str]:
    return [label.name for manifest in manifests for label in manifest.labels]
