"""Lets the governor look at the sensors now and then, and tells of its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from vedette_edge.config import GovernorConfig
from vedette_edge.operation.governor import Governor, Step, paused_cameras
from vedette_edge.operation.overview import Overview
from vedette_edge.operation.sensors import Sensors
from vedette_edge.topics import GovernorState

__all__ = ["Governing"]

_log = logging.getLogger(__name__)

_INTERVAL = 2.0  # seconds between two looks


class Governing:
    """Runs the governor. Its methods belong to one thread."""

    def __init__(
        self,
        config: GovernorConfig,
        sensors: Sensors,
        overview: Overview,
        priorities: Callable[[], Mapping[str, int]],
        on_step: Callable[[Step, GovernorState], None],
    ) -> None:
        """Begin without a look.

        Args:
            config: the limits.
            sensors: of the device.
            overview: is told of readings and steps.
            priorities: of the cameras that there are now, by name.
            on_step: told of the first step, and of each change of the step or of the cameras that it pauses.
        """
        self._governor = Governor(config)
        self._sensors = sensors
        self._overview = overview
        self._priorities = priorities
        self._on_step = on_step
        self._next = float("-inf")
        self._told: tuple[Step, tuple[str, ...]] | None = None

    def configure(self, config: GovernorConfig) -> None:
        """Heed other limits from now on."""
        self._governor.configure(config)

    def tick(self, now: float) -> None:
        """Look at the sensors if it is time to.

        Args:
            now: seconds of a clock that only rises.
        """
        if now < self._next:
            return
        self._next = now + _INTERVAL
        reading = self._sensors.read()
        self._overview.note_reading(reading)
        step = self._governor.tick(now, reading)
        paused = paused_cameras(step, self._priorities())
        if (step, paused) == self._told:
            return
        self._told = (step, paused)
        reason = self._governor.reason
        if reason:
            _log.warning("governor: step %d, %s: %s", step.number, step.name, reason)
        self._on_step(step, self._overview.note_step(step, reason, paused))
