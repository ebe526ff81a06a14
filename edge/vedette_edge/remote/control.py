"""What does the commands: one method each. The agent has the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from vedette_edge.remote.arguments import (
    Arguments,
    CameraArguments,
    ConfigArguments,
    NoArguments,
    ThresholdArguments,
    TriggerArguments,
)

__all__ = ["Control", "MemoryControl", "Outcome"]

Outcome = Mapping[str, Any]
"""What a command gives: JSON values. The whole answer stays below what a broker takes (128 kB)."""


class Control(Protocol):
    """Does what commands ask for. Called from one thread, one command at a time; it may take its time.

    Each method raises a `VedetteError` when it cannot be done: its text is the answer.
    """

    def snapshot(self, args: CameraArguments) -> Outcome:
        """Publish the camera's latest frame on its topic `snapshot`."""
        ...

    def enable(self, args: CameraArguments) -> Outcome:
        """Watch a camera again."""
        ...

    def disable(self, args: CameraArguments) -> Outcome:
        """Watch a camera no more, until it is enabled; what is active there ends."""
        ...

    def set_threshold(self, args: ThresholdArguments) -> Outcome:
        """Let events of a label begin at another score."""
        ...

    def reload(self, args: NoArguments) -> Outcome:
        """Read the configuration file again; where it is wrong, the old one stays."""
        ...

    def describe(self, args: NoArguments) -> Outcome:
        """Tell what the node is, as its birth does, and how it is doing."""
        ...

    def trigger(self, args: TriggerArguments) -> Outcome:
        """Have models that judge single pictures judge the next frame."""
        ...

    def config(self, args: ConfigArguments) -> Outcome:
        """Take another configuration, or with `dry_run` say what it would change."""
        ...


def _noting(name: str) -> Callable[[MemoryControl, Any], Outcome]:
    def note(control: MemoryControl, args: Arguments) -> Outcome:
        return control.note(name, args)

    return note


class MemoryControl:
    """The in-memory twin: remembers what was asked, answers what it was told to."""

    snapshot = _noting("snapshot")
    enable = _noting("enable")
    disable = _noting("disable")
    set_threshold = _noting("set_threshold")
    reload = _noting("reload")
    describe = _noting("describe")
    trigger = _noting("trigger")
    config = _noting("config")

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        """Answer each command with `outcome`, or raise it."""
        self.asked: list[tuple[str, Arguments]] = []
        self._outcome = outcome or {}

    def note(self, name: str, args: Arguments) -> Outcome:
        """Remember a command and give the outcome."""
        self.asked.append((name, args))
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome
