"""What an undelivered message is worth, and which event it belongs to: what goes first when there is no room.

Pictures go before `update`s, those before anything else but `new` and `end`, and records of gaps never go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vedette_edge.publish.base import JSON, Message

__all__ = ["DROPPED_IN_ORDER", "RANKS", "Kind", "Worth", "worth_of"]

Kind: TypeAlias = Literal["picture", "update", "other", "new", "end", "gap"]

RANKS: dict[Kind, int] = {"picture": 0, "update": 1, "other": 2, "new": 3, "end": 3, "gap": 4}
DROPPED_IN_ORDER = (0, 1, 2, 3)
"""Ranks of what may be dropped, the least important first."""

_EVENTS = ("new", "update", "end")


@dataclass(frozen=True, slots=True)
class Worth:
    """What a message is.

    Attributes:
        kind: of an event its type, `picture` for what is no JSON, else `other`; `gap` for a record of a gap.
        boot: run of the agent that wrote it, "" if unknown.
        seq: number of its event in that run, 0 if it has none.
        time: Unix time of what it shows, seconds, 0 if unknown.
        event: identifier of the event that it tells of, "" if of none.
    """

    kind: Kind
    boot: str = ""
    seq: int = 0
    time: float = 0.0
    event: str = ""

    @property
    def rank(self) -> int:
        """Return how long it is kept: the lowest goes first."""
        return RANKS[self.kind]


def worth_of(messages: Sequence[Message]) -> list[Worth]:
    """Return what each message is worth. A picture belongs to the event that follows it."""
    found: list[Worth] = []
    following = Worth("other")
    for message in reversed(messages):
        if message.content_type == JSON:
            following = _of_json(message.payload)
            found.append(following)
        else:
            found.append(Worth("picture", following.boot, following.seq, following.time))
    return found[::-1]


def _of_json(payload: bytes) -> Worth:
    try:
        content = json.loads(payload)
    except ValueError:
        return Worth("other")
    if not isinstance(content, dict) or content.get("type") not in _EVENTS:
        return Worth("other")
    boot, seq, time, event = (content.get(name) for name in ("boot", "seq", "frame_time", "id"))
    return Worth(
        content["type"],
        boot if isinstance(boot, str) else "",
        seq if isinstance(seq, int) else 0,
        time if isinstance(time, int | float) else 0.0,
        event if isinstance(event, str) else "",
    )
