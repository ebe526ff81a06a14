"""Tells systemd that the agent is up, and that it makes progress.

The protocol is one datagram to the socket that `$NOTIFY_SOCKET` names (sd_notify(3)); without that
variable nothing is sent. The watchdog is fed only when every worker has shown a sign of life since the last
time: a bare timer would keep a stuck agent alive.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Iterable, Mapping

__all__ = ["Heartbeat", "Notifier", "Watchdog"]

_log = logging.getLogger(__name__)


class Heartbeat:
    """A worker's sign of life: it beats at least once a second, also when it waits."""

    def __init__(self, name: str) -> None:
        """Name the worker."""
        self.name = name
        self._counter = itertools.count(1)
        self._beats = 0
        self._retired = False

    @property
    def beats(self) -> int:
        """How often it beat."""
        return self._beats

    @property
    def retired(self) -> bool:
        """Whether the worker has ended as it should, and beats no more."""
        return self._retired

    def beat(self) -> None:
        """Show a sign of life."""
        self._beats = next(self._counter)

    def retire(self) -> None:
        """Say that there is no more to expect."""
        self._retired = True


class Notifier:
    """Sends state to systemd, or nowhere."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Read `NOTIFY_SOCKET` from the environment."""
        self._address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")

    def send(self, *lines: str) -> None:
        """Send assignments such as `READY=1`. A failure is logged: the service must not die of it."""
        if not self._address:
            return
        # A leading @ stands for the NUL byte of Linux' abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(address)
                channel.sendall("\n".join(lines).encode())
        except OSError as error:
            _log.warning("cannot notify systemd at %s: %s", self._address, error)


class Watchdog:
    """Feeds systemd's watchdog while all workers make progress. Its methods belong to one thread."""

    def __init__(
        self,
        notifier: Notifier,
        heartbeats: Iterable[Heartbeat],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Feed at half of `WATCHDOG_USEC`; without that variable, never."""
        given = (os.environ if environment is None else environment).get("WATCHDOG_USEC", "")
        self._interval = int(given) / 2e6 if given.isdigit() else 0.0
        self._notifier = notifier
        self._seen: dict[Heartbeat, int] = {}
        self._stuck: list[str] = []
        self._fed: float | None = None
        self.watch(*heartbeats)

    def watch(self, *heartbeats: Heartbeat) -> None:
        """Expect progress of more workers."""
        for beat in heartbeats:
            self._seen.setdefault(beat, -1)

    def forget(self, *heartbeats: Heartbeat) -> None:
        """Expect no more progress of workers that were taken out of service."""
        for beat in heartbeats:
            self._seen.pop(beat, None)

    def tick(self, now: float) -> list[str]:
        """Feed the watchdog if it is time to.

        Args:
            now: seconds of a clock that only rises.

        Returns:
            the names of the workers that showed no sign of life, for which it was not fed.
        """
        if not self._interval or (self._fed is not None and now - self._fed < self._interval):
            return []
        # One that has ended is forgotten: over the years, many cameras may come and go.
        self.forget(*[beat for beat in self._seen if beat.retired])
        stuck = [beat.name for beat, seen in self._seen.items() if beat.beats <= seen]
        if stuck:
            # Asked again at each tick: a worker that was only slow is forgiven as soon as it beats.
            if stuck != self._stuck:
                _log.warning("no sign of life from %s: the watchdog is not fed", ", ".join(stuck))
            self._stuck = stuck
            return stuck
        self._fed, self._stuck = now, []
        self._seen = {beat: beat.beats for beat in self._seen}
        self._notifier.send("WATCHDOG=1")
        return []
