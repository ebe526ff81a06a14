"""What commands from afar do to the running agent: all of it on the supervisor's thread, in its turn."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol, TypeVar

from vedette_edge.errors import UsageError
from vedette_edge.remote.arguments import (
    CameraArguments,
    ConfigArguments,
    NoArguments,
    ThresholdArguments,
    TriggerArguments,
)
from vedette_edge.remote.control import Outcome
from vedette_edge.topics import ConfigReport

__all__ = ["AgentControl", "Commanded", "Errands"]

T = TypeVar("T")

_PATIENCE = 60.0  # seconds; loading a model takes some


class Errands:
    """What other threads want done on the supervisor's thread."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        """Begin with none; `patience` is how long to wait for the supervisor, seconds."""
        self._patience = patience
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def have_done(self, errand: Callable[[], T]) -> T:
        """Have something done, and return what it gives; from any other thread.

        Raises:
            UsageError: when the supervisor does not come to it.
            Exception: what the errand raises.
        """
        future: Future[T] = Future()

        def do() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(errand())
                except Exception as error:
                    future.set_exception(error)

        self._waiting.put(do)
        try:
            return future.result(self._patience)
        except FutureTimeoutError:
            future.cancel()
            raise UsageError(f"the agent did not come to it within {self._patience:g} s") from None

    def run(self) -> None:
        """Do what waits; on the supervisor's thread."""
        while not self._waiting.empty():
            self._waiting.get()()


class Commanded(Protocol):
    """What the running agent can be asked to do, on its own thread."""

    def publish_snapshot(self, camera: str) -> int:
        """Publish a camera's latest frame; return its bytes."""
        ...

    def set_enabled(self, camera: str, enabled: bool) -> None:
        """Watch a camera, or watch it no more."""
        ...

    def set_threshold(self, camera: str, label: str, value: float, model: str | None) -> list[str]:
        """Let events begin at another score; return the models that took it."""
        ...

    def trigger(self, camera: str, model: str | None) -> list[str]:
        """Have models of single pictures judge the next frame; return which do."""
        ...

    def reload(self) -> ConfigReport:
        """Read the configuration again."""
        ...

    def take_config(self, document: bytes, *, dry_run: bool) -> ConfigReport:
        """Take another configuration."""
        ...

    def describe(self) -> Outcome:
        """Tell what the node is, and how it is doing."""
        ...


class AgentControl:
    """The real `remote.Control`."""

    def __init__(self, agent: Commanded, errands: Errands) -> None:
        """Have `agent` do it, on the thread that runs `errands`."""
        self._agent = agent
        self._errands = errands

    def snapshot(self, args: CameraArguments) -> Outcome:
        """Publish the camera's latest frame on its topic `snapshot`."""
        return {"bytes": self._errands.have_done(lambda: self._agent.publish_snapshot(args.camera))}

    def enable(self, args: CameraArguments) -> Outcome:
        """Watch a camera again."""
        self._errands.have_done(lambda: self._agent.set_enabled(args.camera, True))
        return {"camera": args.camera, "enabled": True}

    def disable(self, args: CameraArguments) -> Outcome:
        """Watch a camera no more, until it is enabled or the agent starts again."""
        self._errands.have_done(lambda: self._agent.set_enabled(args.camera, False))
        return {"camera": args.camera, "enabled": False}

    def set_threshold(self, args: ThresholdArguments) -> Outcome:
        """Let events of a label begin at another score."""
        models = self._errands.have_done(
            lambda: self._agent.set_threshold(args.camera, args.label, args.value, args.model)
        )
        return {"models": models, "value": args.value}

    def reload(self, args: NoArguments) -> Outcome:
        """Read the configuration file again; where it is wrong, the old one stays."""
        del args
        return _told(self._errands.have_done(self._agent.reload))

    def describe(self, args: NoArguments) -> Outcome:
        """Tell what the node is, as its birth does, and how it is doing."""
        del args
        return self._errands.have_done(self._agent.describe)

    def trigger(self, args: TriggerArguments) -> Outcome:
        """Have models that judge single pictures judge the next frame."""
        return {"models": self._errands.have_done(lambda: self._agent.trigger(args.camera, args.model))}

    def config(self, args: ConfigArguments) -> Outcome:
        """Take another configuration, or with `dry_run` say what it would change."""
        document = args.document.encode()
        return _told(self._errands.have_done(lambda: self._agent.take_config(document, dry_run=args.dry_run)))


def _told(report: ConfigReport) -> Outcome:
    """Return a report as the outcome of a command.

    Raises:
        UsageError: when the configuration was refused.
    """
    if not report.ok:
        raise UsageError(report.error)
    return {"changes": list(report.changes), "dry_run": report.dry_run}
