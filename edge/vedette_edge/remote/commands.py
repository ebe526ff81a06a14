"""Reads a command from the wire, and says why not. Pure; the clock and what was seen before come in.

A command is JSON of at most 16 KiB on `cmd/{name}`: `{"id": ..., "exp": ..., "args": {...}}`. In this order
it is refused when it is

1. retained: it would be done again at every connection, for ever;
2. of a name that nobody knows;
3. too large, which is looked at before anything is parsed;
4. malformed, or with arguments that its name does not take;
5. expired: `exp`, or the expiry that MQTT 5 gave it, is over; or valid for longer than the node remembers;
6. one whose `id` was done before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.publish.wire import Received
from vedette_edge.remote.arguments import COMMANDS, Arguments
from vedette_edge.validation import describe_errors

__all__ = ["MOST_BYTES", "Command", "Limits", "Reason", "Refused", "Request", "Result", "read"]

MOST_BYTES = 16_384

Reason: TypeAlias = Literal[
    "retained", "unknown", "oversized", "malformed", "expired", "replayed", "busy", "unavailable", "failed"
]


class Request(BaseModel):
    """Payload of `cmd/{name}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Never used twice, such as a UUID.")
    exp: float = Field(ge=0, description="Unix time after which it is void, seconds.")
    args: dict[str, Any] = {}


class Result(BaseModel):
    """Payload of `cmd/{name}/response`: what became of a command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description='Of the command; "" where none could be read.')
    ok: bool
    reason: Reason | None = Field(default=None, description="Why not, for programs.")
    error: str = Field(default="", description="Why not, for people.")
    result: dict[str, Any] = Field(default={}, description="What the command gives.")


class Refused(Exception):  # noqa: N818  # an answer, not a defect
    """A command that is not done."""

    def __init__(self, reason: Reason, text: str, command_id: str = "") -> None:
        """Say why, for programs and for people."""
        super().__init__(text)
        self.reason: Reason = reason
        self.command_id = command_id

    def result(self) -> Result:
        """Return it as an answer."""
        return Result(id=self.command_id, ok=False, reason=self.reason, error=str(self))


@dataclass(frozen=True, slots=True)
class Limits:
    """When a command is void.

    Attributes:
        clock_skew: seconds by which the clocks of sender and node may differ.
        longest: seconds that a command may be valid at most, so that the node can remember all that are.
    """

    clock_skew: float = 30.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command to be done: its name, its id, and the arguments that `COMMANDS` gives that name."""

    name: str
    id: str
    arguments: Arguments


def read(name: str, received: Received, *, arrived: float, now: float, limits: Limits) -> Command:
    """Return the command.

    Args:
        name: last level of its topic.
        received: the message.
        arrived: Unix time at which it came, seconds.
        now: Unix time, seconds.
        limits: when it is void.

    Raises:
        Refused: when it is not to be done.
    """
    if received.retained:
        raise Refused("retained", "a command must not be retained; clear the topic and send it without")
    if name not in COMMANDS:
        raise Refused("unknown", f"there is no command '{name}'; there is: {', '.join(COMMANDS)}")
    if len(received.payload) > MOST_BYTES:
        raise Refused("oversized", f"{len(received.payload)} bytes; a command has at most {MOST_BYTES}")
    request = _parse(received.payload)
    arguments = _arguments(name, request)
    _check_time(request, received.exchange.expiry, arrived, now, limits)
    return Command(name, request.id, arguments)


def _parse(payload: bytes) -> Request:
    try:
        return Request.model_validate_json(payload)
    except ValidationError as error:
        raise Refused("malformed", describe_errors(error, Request)) from error


def _arguments(name: str, request: Request) -> Arguments:
    try:
        return COMMANDS[name].model_validate(request.args)
    except ValidationError as error:
        text = describe_errors(error, COMMANDS[name])
        raise Refused("malformed", f"args: {text}", request.id) from error


def _check_time(request: Request, expiry: int | None, arrived: float, now: float, limits: Limits) -> None:
    late = now - request.exp - limits.clock_skew
    if late > 0 or (expiry is not None and now > arrived + expiry):
        text = f"it was valid until {request.exp:.0f}, and this node's clock says {now:.0f}"
        raise Refused("expired", text, request.id)
    if request.exp > now + limits.longest + limits.clock_skew:
        text = f"exp lies {request.exp - now:.0f} s ahead; at most {limits.longest:g} s are allowed"
        raise Refused("malformed", text, request.id)
