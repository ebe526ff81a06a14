"""What happens on a connection to a broker, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["NO_EXCHANGE", "Acknowledged", "Closed", "Exchange", "Opened", "Received", "WireEvent"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The broker accepted the connection."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection was refused or is gone; `reason` says why, and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered for the message that `send` numbered; `failure` is "" when it took it."""

    number: int
    failure: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What MQTT 5 says of a question or its answer beside the payload.

    Attributes:
        response_topic: where the answer is expected, "" if nowhere.
        correlation: bytes that the answer must carry.
        expiry: seconds until the message is void, None if never.
    """

    response_topic: str = ""
    correlation: bytes = b""
    expiry: int | None = None


NO_EXCHANGE = Exchange()


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a topic that was subscribed to; `exchange` is empty with MQTT 3.1.1."""

    topic: str
    payload: bytes
    retained: bool = False
    exchange: Exchange = NO_EXCHANGE


WireEvent: TypeAlias = Opened | Closed | Acknowledged | Received
