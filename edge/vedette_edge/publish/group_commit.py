"""One flush for all who wait: what threads hand in while one of them writes is written together next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["GroupCommit"]

_Item = TypeVar("_Item")


@dataclass(slots=True)
class _Ticket(Generic[_Item]):
    item: _Item
    done: bool = False
    error: Exception | None = None


class GroupCommit(Generic[_Item]):
    """Writes items, many at a time when they come from many threads, at once when they do not."""

    def __init__(self, write: Callable[[list[_Item]], None]) -> None:
        """Write with `write`, which keeps all items that it is given, in order, or none."""
        self._write = write
        self._writing = threading.Lock()
        self._handing_in = threading.Lock()
        self._waiting: list[_Ticket[_Item]] = []

    @property
    def waiting(self) -> int:
        """How many items wait for the write that goes on."""
        return len(self._waiting)

    def put(self, item: _Item) -> None:
        """Return when `item` was written.

        Raises:
            Exception: what `write` raised for this item.
        """
        ticket = _Ticket(item)
        with self._handing_in:
            self._waiting.append(ticket)
        with self._writing:
            # Whoever held the lock before may have written ours as well.
            if not ticket.done:
                with self._handing_in:
                    tickets, self._waiting = self._waiting, []
                self._write_all(tickets)
        if ticket.error is not None:
            raise ticket.error

    def _write_all(self, tickets: list[_Ticket[_Item]]) -> None:
        try:
            self._write([ticket.item for ticket in tickets])
        except Exception as error:
            if len(tickets) == 1:
                tickets[0].error = error
            else:  # the fault of one is not that of the others
                for ticket in tickets:
                    self._write_all([ticket])
        for ticket in tickets:
            ticket.done = True
