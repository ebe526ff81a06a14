"""The way to the broker: name, port, login, and whether it takes what this node writes."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Iterator
from typing import Any

from vedette_edge.errors import VedetteError
from vedette_edge.operation.doctor.finding import Finding, fail, ok
from vedette_edge.operation.status import BrokerState
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Acknowledged, Broker, Closed, Opened, Wire
from vedette_edge.topics import Topics

__all__ = ["broker", "broker_in_use"]

_SUBJECT = "broker"
_PATIENCE = 10.0  # seconds for each answer
_LOGIN = "see mqtt in the configuration: username, password_file and tls"


def broker(where: Broker, topics: Topics) -> Iterator[Finding]:
    """Go the way to the broker, step by step, as far as it leads.

    Args:
        where: the broker.
        topics: of this node.

    Raises:
        ConfigError: when the password or a TLS file cannot be used.
    """
    try:
        socket.getaddrinfo(where.host, where.port)
    except OSError as error:
        yield fail(
            _SUBJECT, f"'{where.host}' has no address ({error.strerror})", "check mqtt.host and the DNS"
        )
        return
    try:
        socket.create_connection((where.host, where.port), timeout=_PATIENCE).close()
    except OSError as error:
        why = error.strerror or "no answer"
        yield fail(
            _SUBJECT, f"{where} cannot be reached ({why})", "check mqtt.port, the broker and firewalls"
        )
        return
    yield from _logged_in(where, topics)


def _logged_in(where: Broker, topics: Topics) -> Iterator[Finding]:
    # A name of its own: the broker would end the agent's connection for one with the same.
    wire = Wire(where, f"vedette_{topics.site}_{topics.node}_doctor")
    try:
        wire.open()
        answer = _next(wire, (Opened, Closed))
        if not isinstance(answer, Opened):
            yield fail(_SUBJECT, answer.reason if answer else f"{where} does not answer", _LOGIN)
            return
        yield ok(_SUBJECT, f"{where} accepts this node" + (", over TLS" if where.tls else ""))
        yield _published(wire, where, topics)
    except VedetteError as error:
        yield fail(_SUBJECT, str(error), _LOGIN)
    finally:
        wire.close()


def _published(wire: Wire, where: Broker, topics: Topics) -> Finding:
    topic = topics.doctor
    number = wire.send(Message(topic, b"{}"))
    answer = _next(wire, (Acknowledged, Closed), number)
    remedy = f"let this node write vedette/v1/{topics.site}/{topics.node}/# in the broker's ACL"
    if not isinstance(answer, Acknowledged):
        return fail(_SUBJECT, f"{where} does not take a message on {topic}", remedy)
    if answer.failure:
        return fail(_SUBJECT, f"{where} refuses a message on {topic} ({answer.failure})", remedy)
    # MQTT 3.1.1 has no way to refuse a message, so there an acknowledgement proves less.
    proof = "" if where.protocol == "5" else ", as far as MQTT 3.1.1 can tell"
    return ok(_SUBJECT, f"takes messages on this node's topics{proof}")


def _next(wire: Wire, kinds: tuple[type, ...], number: int | None = None) -> Any:
    """Return the next event of these kinds, or None after `_PATIENCE`; of answers, that for `number`."""
    until = time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0:
        try:
            event = wire.happened.get(timeout=left)
        except queue.Empty:
            return None
        if isinstance(event, kinds) and (not isinstance(event, Acknowledged) or event.number == number):
            return event
    return None


def broker_in_use(state: BrokerState) -> Finding:
    """Tell what the running agent says of the broker: a second login could end the first."""
    if state.connected:
        return ok(_SUBJECT, f"the running agent is connected to {state.address}")
    remedy = "stop the agent and run this again to see why, or look into its log"
    return fail(_SUBJECT, f"the running agent is not connected to {state.address}", remedy)
