"""Whether a control room listens: what the site's hosts say of themselves (Sparkplug's STATE)."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from vedette_edge.publish.wire import Received
from vedette_edge.topics import HostState

__all__ = ["Hosts"]

_log = logging.getLogger(__name__)
_MOST = 64


class Hosts:
    """The control rooms of a site, by what they said last."""

    def __init__(self) -> None:
        """Know none yet."""
        self._states: dict[str, HostState] = {}

    @property
    def heard(self) -> bool:
        """Whether one listens; as long as none ever said anything, one is taken to."""
        return not self._states or any(state.online for state in self._states.values())

    def take(self, received: Received) -> None:
        """Take a state. An older one than is known changes nothing: a will may come late."""
        try:
            state = HostState.model_validate_json(received.payload)
        except ValidationError:
            _log.warning("%s: not the state of a host", received.topic)
            return
        known = self._states.get(received.topic)
        if known is None and len(self._states) >= _MOST:
            return
        if known is None or state.timestamp >= known.timestamp:
            self._states[received.topic] = state
