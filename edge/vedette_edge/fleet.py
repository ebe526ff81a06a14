"""The cameras that run, and how they change while the others go on. One thread, the supervisor's, calls it.

What shall run is one configuration (see `effective`): a reload, a command and the governor each only change
that, and `converge` does what the difference asks for, and no more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from vedette_edge.assembly import Assembled, Assembler
from vedette_edge.capture import Status
from vedette_edge.config import AgentConfig, CameraConfig
from vedette_edge.engine import Model
from vedette_edge.errors import UsageError, VideoError
from vedette_edge.health import Heartbeat
from vedette_edge.memory import give_back_memory
from vedette_edge.operation.governor import LADDER, Step, paused_cameras
from vedette_edge.operation.reload import Difference

__all__ = ["Fleet", "effective"]

_log = logging.getLogger(__name__)

_PATIENCE = 15.0  # seconds for a camera to end before its successor starts beside it


def effective(config: AgentConfig, disabled: Collection[str], step: Step) -> AgentConfig:
    """Return what shall run: the configuration, less what commands and the governor hold back.

    Args:
        config: as it is written.
        disabled: cameras that a command has disabled.
        step: of the governor.
    """
    paused = paused_cameras(step, {camera.id: camera.priority for camera in config.cameras})
    cameras = tuple(
        _held_back(camera, step, off=camera.id in disabled or camera.id in paused)
        for camera in config.cameras
    )
    return config.model_copy(update={"cameras": cameras})


def _held_back(camera: CameraConfig, step: Step, *, off: bool) -> CameraConfig:
    side = min(camera.capture.max_side, step.max_side or camera.capture.max_side)
    capture = camera.capture.model_copy(update={"max_side": side})
    return camera.model_copy(update={"capture": capture, "enabled": camera.enabled and not off})


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A camera that ends, since when, and the status that it then has; None where a successor has one."""

    assembled: Assembled
    since: float
    last_word: tuple[Status, str] | None


class Fleet:
    """All cameras of the node."""

    def __init__(
        self,
        config: AgentConfig,
        models: Mapping[str, Model],
        assembler: Assembler,
        watch: Callable[[Heartbeat], None],
        on_status: Callable[[str, Status, str], None],
    ) -> None:
        """Build the cameras of a configuration; nothing runs before `start`.

        Args:
            config: what shall run, from `effective`.
            models: by name.
            assembler: builds cameras.
            watch: told of each worker of whom progress is expected.
            on_status: told of (camera, status, reason) where no capture tells it.

        Raises:
            ConfigError: when a camera's settings do not fit its models.
        """
        self._config = config
        self._models = models
        self._assembler = assembler
        self._watch = watch
        self._on_status = on_status
        self._step = LADDER[0]
        self._leaving: list[_Leaving] = []
        self._running = {
            camera.id: assembler.build(config, camera, models) for camera in config.cameras if camera.enabled
        }

    @property
    def config(self) -> AgentConfig:
        """What shall run."""
        return self._config

    @property
    def running(self) -> Sequence[Assembled]:
        """The cameras that shall run, also those that have ended."""
        return list(self._running.values())

    @property
    def finished(self) -> bool:
        """Whether every camera that shall run has ended, and there is one."""
        return bool(self._running) and all(
            one.camera.started and one.camera.finished for one in self._running.values()
        )

    @property
    def ended(self) -> bool:
        """Whether no thread of a camera runs."""
        every = [*self._running.values(), *(one.assembled for one in self._leaving)]
        return all(one.camera.finished for one in every)

    @property
    def errors(self) -> list[Exception]:
        """What ended cameras that shall run."""
        return [one.camera.error for one in self._running.values() if one.camera.error is not None]

    @property
    def fatal(self) -> Exception | None:
        """What no camera can go on after."""
        return next((error for error in self.errors if not isinstance(error, VideoError)), None)

    def start(self) -> None:
        """Start all cameras."""
        for camera in self._config.cameras:
            if not camera.enabled:
                self._on_status(camera.id, "disabled", "")
        for one in self._running.values():
            self._begin(one)

    def stop(self) -> None:
        """Stop all cameras; what was captured is still judged, and active events end."""
        for one in self._running.values():
            one.camera.stop()

    def named(self, camera: str) -> Assembled:
        """Return a camera that runs.

        Raises:
            UsageError: when there is none of that name.
        """
        if camera not in self._running:
            raise UsageError(
                f"camera '{camera}' does not run; there is: {', '.join(self._running) or 'none'}"
            )
        return self._running[camera]

    def heed(self, step: Step) -> None:
        """Judge and draw as often as a step of the governor allows, now and from now on."""
        self._step = step
        for one in self._running.values():
            one.heed(step)

    def converge(self, config: AgentConfig, models: Mapping[str, Model], change: Difference) -> None:
        """Run another configuration; cameras that it leaves as they are do not notice.

        Args:
            config: what shall run, from `effective`.
            models: by name; others where models have changed.
            change: what differs from the one before.

        Raises:
            ConfigError: when a camera's settings do not fit its models; then nothing has changed.
        """
        wanted = {camera.id: camera for camera in config.cameras}
        anew = [name for name in (*change.added, *change.changed) if wanted[name].enabled]
        built = {name: self._assembler.build(config, wanted[name], models) for name in anew}
        for name in (*change.removed, *change.changed):
            self._part_with(name, _last_word(wanted.get(name)))
        for name in change.retuned:
            if name in self._running:
                old = self._running[name]
                self._running[name] = self._assembler.rebuild(old, config, wanted[name], models)
                self._running[name].heed(self._step)
        self._config, self._models = config, models
        self._running |= built
        for name in change.added:
            if not wanted[name].enabled:
                self._on_status(name, "disabled", "")
        self.tend()

    def tend(self) -> None:
        """Start what waits for its predecessor to end. Call it often."""
        now = time.monotonic()
        staying: list[_Leaving] = []
        for one in self._leaving:
            name, ended = one.assembled.config.id, one.assembled.camera.finished
            if not ended and now - one.since < _PATIENCE:
                staying.append(one)
                continue
            if not ended:
                _log.error("camera '%s' does not end; its successor starts beside it", name)
            # Only now: its own last word is that it is offline.
            if one.last_word is not None:
                self._on_status(name, *one.last_word)
        if len(staying) < len(self._leaving):
            give_back_memory()  # what they judged with may be gone with them
        self._leaving = staying
        held = {one.assembled.config.id for one in staying}
        for name, running in self._running.items():
            if not running.camera.started and name not in held:
                self._begin(running)

    def _begin(self, one: Assembled) -> None:
        for beat in one.camera.heartbeats:
            self._watch(beat)
        one.heed(self._step)
        one.camera.start()

    def _part_with(self, name: str, last_word: tuple[Status, str] | None) -> None:
        one = self._running.pop(name, None)
        if one is not None and one.camera.started:
            one.camera.stop()
            self._leaving.append(_Leaving(one, time.monotonic(), last_word))
        elif last_word is not None:
            self._on_status(name, *last_word)


def _last_word(wanted: CameraConfig | None) -> tuple[Status, str] | None:
    """Return the status of a camera that has ended, or None where a successor tells its own."""
    if wanted is None:
        return "offline", "removed from the configuration"
    return None if wanted.enabled else ("disabled", "")
