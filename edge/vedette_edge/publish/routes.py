"""Who takes what is received. One that raises is one line in the log, and ends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from vedette_edge.publish.happenings import Received

__all__ = ["Route", "Routes"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """What to listen to, and who takes it.

    Attributes:
        topics: a filter, with `+` or `#`.
        take: takes each message; must return at once.
    """

    topics: str
    take: Callable[[Received], None]


class Routes:
    """All that is listened to."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Pass messages on to `routes`."""
        self._routes = routes

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(route.topics for route in self._routes)

    def pass_on(self, received: Received) -> None:
        """Give a message to each that listens to its topic."""
        for route in self._routes:
            if topic_matches_sub(route.topics, received.topic):
                try:
                    route.take(received)
                except Exception:
                    _log.exception("cannot take the message on %s", received.topic)
