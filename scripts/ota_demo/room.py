"""What the control room received, held against what there was to be seen; and a thief who speaks like it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ota_demo.camera import LIT, Camera
from ota_demo.device import SITE, Device
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Opened, Wire
from vedette_edge.topics import Event, Topics

__all__ = ["Account", "account_of", "read_events", "send_forged_hint"]

_STARTING = 6.0  # seconds from the end of an agent until the next one sees
_EXCHANGE = 3.0  # seconds around the exchange of a model


@dataclass(frozen=True)
class Account:
    """Of one device.

    Attributes:
        events: messages about events.
        lost: messages that were numbered and never came.
        bright: lamps that every release knows, while its agent was to run.
        seen: of these, those with an alarm.
        starting: of the others, those that came while the agent was being started again.
        exchanging: of the others, those that came while a model took another's place.
        dim: (seen, all) of the lamps that only later releases know, before the first of them ran.
        dim_later: the same, after it.
    """

    events: int
    lost: int
    bright: int
    seen: int
    starting: int
    exchanging: int
    dim: tuple[int, int]
    dim_later: tuple[int, int]

    @property
    def awake(self) -> int:
        """Bright lamps for which nothing kept it from looking."""
        return self.bright - self.starting - self.exchanging

    @property
    def unexplained(self) -> int:
        """Bright lamps without an alarm and without a reason."""
        return self.bright - self.seen - self.starting - self.exchanging


def read_events(path: Path, node: str) -> list[Event]:
    """Return the messages about events of a device, from what `edge-agent watch --json` wrote."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        topic = str(record.get("topic", ""))
        if topic.endswith("/events") and f"/{node}/" in topic:
            found.append(Event.model_validate(record["payload"]))
    return found


def account_of(device: Device, events: Sequence[Event], camera: Camera, until: float) -> Account:
    """Return the account of a device that was switched off at a Unix time."""
    began = [event.start_time for event in events if event.type == "new"]
    # A clip that shows a lamp may begin before the lamp goes on.
    alarmed = {camera.lamp_at(moment + LIT / 2) for moment in began}
    since = min(began)
    lamps = camera.lamps(since - LIT, until - LIT)
    bright = [lamp for lamp in lamps if lamp % 2 == 0]
    missed = [camera.began_at(lamp) for lamp in bright if lamp not in alarmed]
    falls = [moment for moment, _ in device.falls]
    exchanges = [moment for moment, state, _ in device.states if state in ("trial", "rollback")]
    starting = [one for one in missed if _near(one, falls, 0.0, _STARTING)]
    exchanging = [
        one for one in missed if one not in starting and _near(one, exchanges, _EXCHANGE, _EXCHANGE)
    ]
    second = min(
        (m for m, state, release in device.states if state == "trial" and release == 2), default=until
    )
    dim = [lamp for lamp in lamps if lamp % 2]
    early = [lamp for lamp in dim if camera.began_at(lamp) < second]
    late = [lamp for lamp in dim if camera.began_at(lamp) >= second]
    return Account(
        len(events), _lost(events), len(bright), len(bright) - len(missed), len(starting), len(exchanging),
        (len(alarmed.intersection(early)), len(early)), (len(alarmed.intersection(late)), len(late)),
    )  # fmt: skip


def _near(moment: float, those: Iterable[float], before: float, after: float) -> bool:
    return any(one - before - LIT <= moment <= one + after for one in those)


def _lost(events: Sequence[Event]) -> int:
    """Return how many numbers are missing among the messages of all runs of the agent."""
    numbers = defaultdict(set)
    for event in events:
        numbers[event.boot].add(event.seq)
    return sum(max(those) - len(those) for those in numbers.values())


def send_forged_hint(port: int, node: str) -> bytes:
    """Tell a device over MQTT what to load, and from where; return what was sent."""
    payload = b'{"campaign": "evil", "url": "http://203.0.113.7/", "sha256": "00"}'
    wire = Wire(Broker("127.0.0.1", port, "3.1.1"), client_id="")
    wire.open()
    try:
        assert isinstance(wire.happened.get(timeout=10), Opened)
        wire.send(Message(Topics(SITE, node).ota_desired, payload, qos=1))
        wire.happened.get(timeout=10)  # the broker has it
    finally:
        wire.close()
    return payload
