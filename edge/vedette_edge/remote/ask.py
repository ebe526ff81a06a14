"""Asks a node for something and waits for its answer: the control room's side of a command."""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from vedette_edge.errors import BrokerError, DataError
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Closed, Exchange, Opened, Received, Wire
from vedette_edge.remote.commands import Result
from vedette_edge.topics import Topics

__all__ = ["ask"]


def ask(
    broker: Broker,
    topics: Topics,
    name: str,
    args: Mapping[str, Any],
    *,
    timeout: float,
    validity: float = 30.0,
) -> Result:
    """Send a command and return the node's answer.

    Args:
        broker: where to connect.
        topics: of the node.
        name: of the command.
        args: its arguments.
        timeout: seconds to wait for the answer.
        validity: seconds for which the command is valid.

    Raises:
        BrokerError: when the broker cannot be reached, refuses us, or goes away.
        DataError: when no answer comes.
    """
    command_id = uuid.uuid4().hex
    request = {"id": command_id, "exp": time.time() + validity, "args": dict(args)}
    answers = f"{topics.response(name)}/{command_id}"
    wire = Wire(broker, client_id="")
    wire.open()
    try:
        until = time.monotonic() + timeout
        _await(wire, until, Opened, f"the MQTT broker at {broker} does not answer")
        wire.subscribe(answers, topics.response(name))
        exchange = Exchange(answers, command_id.encode(), round(validity))
        wire.send(Message(topics.command(name), json.dumps(request).encode()), exchange)
        while True:
            silence = (
                f"{topics.site}/{topics.node} gave no answer within {timeout:g} s: is it there, and may "
            )
            received = _await(wire, until, Received, silence + "commands come from here? See its log")
            result = _result(received)
            if result is not None and result.id == command_id:
                return result
    finally:
        wire.close()


def _await(wire: Wire, until: float, kind: type[Any], silence: str) -> Any:
    while (left := until - time.monotonic()) > 0:
        try:
            event = wire.happened.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(event, Closed):
            raise BrokerError(event.reason)
        if isinstance(event, kind):
            return event
    raise DataError(silence)


def _result(received: Received) -> Result | None:
    try:
        return Result.model_validate_json(received.payload)
    except ValidationError:
        return None
