"""Does less before the device overheats or runs out of memory: a ladder of steps. Pure: readings and time in.

The rules, in order:

1. Past a hard limit (`hot_celsius`, half of `free_memory_bytes`) all cameras pause, at once.
2. Past a soft limit the next step is taken after `rise` seconds, up to the pause of some cameras.
3. Between a soft limit and its margin of relief nothing changes: that is the hysteresis.
4. After `fall` seconds of calm one step is taken back. Who must soon take it again waits twice as long the
   next time, at most an hour: a device that cannot bear a step does not try it over and over.

What a sensor does not tell is no reason for anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import accumulate
from typing import Any

from vedette_edge.config.operation import GovernorConfig
from vedette_edge.operation.sensors import Reading
from vedette_edge.topics import StepName

__all__ = ["LADDER", "Governor", "Step", "Strain", "paused_cameras", "strain_of"]

_RELIEF_CELSIUS = 5.0
_RELIEF = 1.25  # ratio; for what is not a temperature
_LONGEST_FALL = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Step:
    """What is held back.

    Attributes:
        number: place on the ladder.
        name: in the node's topic `governor`.
        picture_interval: seconds from one picture of an event to the next, at least; 0: all are drawn.
        hop_factor: a verdict where there were so many.
        max_side: longest side of a captured picture, pixels; None: as configured.
        cheaper_variant: run the cheapest variant of each model.
        pause_some: pause the half of the cameras with the lower priority.
        pause_all: pause all cameras.
    """

    number: int
    name: StepName
    picture_interval: float = 0.0
    hop_factor: int = 1
    max_side: int | None = None
    cheaper_variant: bool = False
    pause_some: bool = False
    pause_all: bool = False


# Each step is the one before it, and this.
_HELD_BACK: tuple[tuple[StepName, dict[str, Any]], ...] = (
    ("fewer-pictures", {"picture_interval": 10.0}),
    ("longer-hop", {"hop_factor": 2}),
    ("smaller-pictures", {"max_side": 640}),
    ("cheaper-variant", {"cheaper_variant": True}),
    ("cameras-paused", {"pause_some": True}),
    ("all-paused", {"pause_all": True}),
)


def _climbed(step: Step, above: tuple[StepName, dict[str, Any]]) -> Step:
    name, held_back = above
    return replace(step, number=step.number + 1, name=name, **held_back)


LADDER = tuple(accumulate(_HELD_BACK, _climbed, initial=Step(0, "normal")))
_LAST_SOFT = 5  # the highest step to which soft limits lead
_PAUSED = 6


class Strain(IntEnum):
    """How a reading stands to its limits."""

    CALM = 0  # below the margin of relief
    NEUTRAL = 1  # between it and the soft limit
    SOFT = 2  # past the soft limit
    NEAR = 3  # past the soft limit, and not far below the hard one
    HARD = 4  # past the hard limit


def strain_of(reading: Reading, config: GovernorConfig) -> tuple[Strain, str]:
    """Return the worst strain of a reading, and what that sensor says; "" where none says anything."""
    strains = [*_heat(reading, config), *_scarcity(reading, config), *_pressure(reading, config)]
    return max(strains, default=(Strain.CALM, ""), key=lambda one: one[0])


def _heat(reading: Reading, config: GovernorConfig) -> Iterator[tuple[Strain, str]]:
    celsius, warm, hot = reading.temperature_c, config.warm_celsius, config.hot_celsius
    if celsius is not None:
        relief = (warm - _RELIEF_CELSIUS, warm, max(warm, hot - _RELIEF_CELSIUS), hot)
        yield _placed(celsius, relief), f"{celsius:.1f} degrees Celsius"


def _scarcity(reading: Reading, config: GovernorConfig) -> Iterator[tuple[Strain, str]]:
    # Less is worse: the signs are turned, so that limits rise.
    free, limit = reading.free_memory_bytes, config.free_memory_bytes
    if free is not None and limit:
        limits = (-limit * _RELIEF, -limit, -limit / 2 * _RELIEF, -limit / 2)
        yield _placed(-free, limits), f"{free / 2**20:.0f} MiB of memory left"
    free, limit = reading.free_gpu_bytes, config.free_gpu_bytes
    if free is not None and limit:
        yield _placed(-free, (-limit * _RELIEF, -limit)), f"{free / 2**20:.0f} MiB of GPU memory left"


def _pressure(reading: Reading, config: GovernorConfig) -> Iterator[tuple[Strain, str]]:
    if reading.load is not None and config.load:
        limits = (config.load / _RELIEF, config.load)
        yield _placed(reading.load, limits), f"{reading.load:.1f} threads per core"
    if reading.memory_stall is not None and config.memory_stall:
        limits = (config.memory_stall / _RELIEF, config.memory_stall)
        yield _placed(reading.memory_stall, limits), f"{reading.memory_stall:.0f} % of time lost to memory"


def _placed(value: float, limits: tuple[float, ...]) -> Strain:
    return Strain(sum(value >= limit for limit in limits))


@dataclass(slots=True)
class _Spell:
    """For how long a condition has held."""

    began: float | None = None

    def seconds(self, holds: bool, now: float) -> float:
        """Return for how long it has held now; 0 where it does not."""
        if not holds:
            self.began = None
        elif self.began is None:
            self.began = now
        return 0.0 if self.began is None else now - self.began


class Governor:
    """Climbs the ladder under strain, quickly, and comes down in calm, slowly."""

    def __init__(self, config: GovernorConfig) -> None:
        """Begin at the foot of the ladder."""
        self._config = config
        self._number = 0
        self._fall = config.fall
        self._fell: float | None = None
        self._strained, self._calm = _Spell(), _Spell()
        self.reason = ""

    @property
    def step(self) -> Step:
        """What is held back now."""
        return LADDER[self._number]

    def configure(self, config: GovernorConfig) -> None:
        """Heed other limits from now on; switched off, let go of everything."""
        self._config = config
        self._fall = config.fall
        if not config.enabled:
            self._number, self.reason = 0, ""

    def tick(self, now: float, reading: Reading) -> Step:
        """Take a reading; return the step that holds from now on.

        Args:
            now: seconds of a clock that only rises.
            reading: what the sensors say.
        """
        if not self._config.enabled:
            return self.step
        strain, cause = strain_of(reading, self._config)
        if strain == Strain.HARD:
            self._rise(now, _PAUSED, cause)
            return self.step
        strained = strain >= Strain.SOFT and self._number < _LAST_SOFT
        # Of the hard limit's step, calm is already to be well below that limit.
        calm = strain == Strain.CALM or (self._number == _PAUSED and strain < Strain.NEAR)
        strained_for = self._strained.seconds(strained, now)
        calm_for = self._calm.seconds(calm and self._number > 0, now)
        if strained_for >= self._config.rise:
            self._rise(now, self._number + 1, cause)
        elif calm_for >= self._fall:
            self._descend(now)
        return self.step

    def _rise(self, now: float, number: int, cause: str) -> None:
        if number > self._number and self._fell is not None:
            relapsed = now - self._fell < 2 * self._fall
            self._fall = min(_LONGEST_FALL, 2 * self._fall) if relapsed else self._config.fall
            self._fell = None
        self._number, self.reason = number, cause
        self._strained, self._calm = _Spell(now), _Spell()

    def _descend(self, now: float) -> None:
        self._number -= 1
        self._fell = now
        if self._number == 0:
            self.reason = ""
        self._strained, self._calm = _Spell(), _Spell(now)


def paused_cameras(step: Step, priorities: Mapping[str, int]) -> tuple[str, ...]:
    """Return the cameras that a step pauses.

    Args:
        step: of the ladder.
        priorities: of all cameras, by name; of equal ones the later go first.
    """
    if step.pause_all:
        return tuple(priorities)
    if not step.pause_some:
        return ()
    order = list(priorities)
    ranked = sorted(order, key=lambda name: (priorities[name], -order.index(name)))
    return tuple(ranked[: len(ranked) // 2])
