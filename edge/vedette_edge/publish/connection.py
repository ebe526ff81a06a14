"""One connection to the broker: what is under way on it, and what goes next."""

from __future__ import annotations

from dataclasses import dataclass, field

from vedette_edge.publish.base import Message
from vedette_edge.publish.drain import UNDER_WAY, Drain
from vedette_edge.publish.happenings import Acknowledged
from vedette_edge.publish.outbox import Outbox, Stored
from vedette_edge.publish.wire import Wire

__all__ = ["Connection"]


@dataclass(slots=True)
class Connection:
    """The state of one connection; messages under way by the number that the wire gave them.

    Attributes:
        wire: carries them.
        session: number of the connection.
        live: what came since the connection stands.
        late: what waited for it.
        announced: what is not in the store.
    """

    wire: Wire
    session: int
    live: dict[int, Stored] = field(default_factory=dict)
    late: dict[int, Stored] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)

    def send(self, message: Message) -> int:
        """Send a message that is not in the store; return its number."""
        number = self.wire.send(message)
        self.announced.add(number)
        return number

    def fill(self, outbox: Outbox, drain: Drain, now: float, *, heard: bool) -> None:
        """Send from the store as much as may be under way: what is new first.

        Args:
            outbox: holds the messages.
            drain: says how many late ones may go.
            now: seconds of a clock that only rises.
            heard: whether a control room listens.

        Raises:
            OutboxError: when the store is closed.
        """
        if room := UNDER_WAY - len(self.live) - len(self.late):
            for stored in outbox.take(room, late=False):
                self.live[self.wire.send(stored.message)] = stored
        if room := drain.room(now, live=len(self.live), late=len(self.late), heard=heard):
            taken = outbox.take(room, late=True)
            drain.sent(len(taken))
            for stored in taken:
                self.late[self.wire.send(stored.message)] = stored

    def settle(self, answer: Acknowledged) -> Stored | None:
        """Return the stored message that the broker answered for, which is not under way any more."""
        self.announced.discard(answer.number)
        return self.live.pop(answer.number, None) or self.late.pop(answer.number, None)
