"""Counts what came through a fault: events by boot and number, lost ones, doubled ones, those never ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from vedette_edge.errors import DataError
from vedette_edge.topics import Event, parse_event

__all__ = ["Audit", "tries"]


def tries(few: int, many: int) -> int:
    """Return how often to try: `many` for `make faults`, else `few`."""
    return many if os.environ.get("VEDETTE_FAULTS") == "many" else few


@dataclass
class Audit:
    """Takes the messages of a subscriber."""

    events: dict[tuple[str, int], Event] = field(default_factory=dict)
    repeated: int = 0
    contradicted: list[Event] = field(default_factory=list)
    misread: int = 0

    def take(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/events"):
            return
        try:
            event = parse_event(payload)
        except DataError:
            self.misread += 1
            return
        known = self.events.setdefault((event.boot, event.seq), event)
        if known is not event:
            self.repeated += 1
            # Late copies differ in `hist` alone.
            if known.model_copy(update={"hist": event.hist}) != event:
                self.contradicted.append(event)

    @property
    def lost(self) -> list[tuple[str, int]]:
        """(boot, seq) below the highest that came of the boot, and that did not come."""
        highest: dict[str, int] = {}
        for boot, seq in self.events:
            highest[boot] = max(seq, highest.get(boot, 0))
        every = ((boot, seq) for boot, top in highest.items() for seq in range(1, top + 1))
        return [one for one in every if one not in self.events]

    @property
    def unended(self) -> set[str]:
        """Events that began and did not end."""
        begun = {event.id for event in self.events.values() if event.type == "new"}
        return begun - {event.id for event in self.events.values() if event.type == "end"}

    def report(self, what: str, count: int) -> str:
        boots = len({boot for boot, _ in self.events})
        return (
            f"{what}: {count} tries, {boots} boots, {len(self.events)} event messages, "
            f"{len(self.lost)} lost, {self.repeated} repeated, {len(self.contradicted)} contradicted, "
            f"{len(self.unended)} without an end"
        )
