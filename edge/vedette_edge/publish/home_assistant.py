"""Home Assistant finds the node by itself: one retained message that lists its entities (device discovery).

For each camera: a binary sensor a label (on while an event goes on), the heatmap of the latest event, the
plain frame and a button that asks for it, and whether the camera gives frames. For the node: how many
messages wait, memory, and whether it is well. What the node says of its state decides what is available.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vedette_edge import __version__
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Received
from vedette_edge.topics import Topics, topic_part

__all__ = ["AnnouncedCamera", "Greeter", "discovery"]

_SPREAD = 10.0  # seconds over which nodes answer when Home Assistant comes back
_VALID = 60  # seconds for which the button's command is valid
# The id needs to be new at each press; Home Assistant has no UUIDs in templates.
_COMMAND_ID = "ha-{{ (now().timestamp() * 1000) | int }}-{{ range(100000, 999999) | random }}"


@dataclass(frozen=True, slots=True)
class AnnouncedCamera:
    """A camera as Home Assistant sees it.

    Attributes:
        id: its identifier.
        labels: those that may alarm there.
        content_type: MIME type of its heatmap pictures.
    """

    id: str
    labels: Sequence[str]
    content_type: str = "image/jpeg"


def discovery(
    topics: Topics, cameras: Sequence[AnnouncedCamera], *, prefix: str, metrics_interval: float
) -> Message:
    """Return the message by which Home Assistant finds the node.

    Args:
        topics: of the node.
        cameras: all of them.
        prefix: of Home Assistant's discovery topics.
        metrics_interval: seconds between two messages on `metrics`.
    """
    unique = f"vedette_{topics.site}_{topics.node}"
    components = _node_components(topics, 3 * metrics_interval)
    for camera in cameras:
        components |= _camera_components(topics, camera, 3 * metrics_interval)
    payload = {
        "dev": {"ids": unique, "name": f"{topics.site} {topics.node}", "mf": "Vedette", "sw": __version__},
        "o": {"name": "vedette", "sw": __version__},
        "availability": [{"topic": topics.state, "value_template": _one_of("state", "ready", "degraded")}],
        "availability_mode": "all",
        "qos": 1,
        "cmps": {key: value | {"unique_id": f"{unique}_{key}"} for key, value in components.items()},
    }
    return Message(discovery_topic(topics, prefix), json.dumps(payload).encode(), retain=True)


def discovery_topic(topics: Topics, prefix: str) -> str:
    """Return where it is sent: the node's name is a level of its own, so that an access list can name it."""
    return f"{prefix}/device/{topics.node}/config"


class Greeter:
    """Sends the discovery again when Home Assistant comes back, at a random time within ten seconds."""

    def __init__(
        self,
        prefix: str,
        current: Callable[[], Message],
        tell_later: Callable[[float, Message], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Watch for Home Assistant.

        Args:
            prefix: of its topics.
            current: gives the discovery as it is now.
            tell_later: sends a message after so many seconds.
            jitter: a random number in 0..1.
        """
        self.topics = f"{prefix}/status"
        self._current = current
        self._tell_later = tell_later
        self._jitter = jitter

    def take(self, received: Received) -> None:
        """Take what Home Assistant says of itself; what is retained is old, as is the discovery it found."""
        if received.payload == b"online" and not received.retained:
            self._tell_later(_SPREAD * self._jitter(), self._current())


def _one_of(field: str, *values: str) -> str:
    return f"{{{{ 'online' if value_json.{field} in {list(values)} else 'offline' }}}}"


def _measurement(topics: Topics, expire_after: float) -> dict[str, Any]:
    return {
        "p": "sensor",
        "entity_category": "diagnostic",
        "state_topic": topics.metrics,
        "state_class": "measurement",
        "expire_after": round(expire_after),
    }


def _node_components(topics: Topics, expire_after: float) -> dict[str, dict[str, Any]]:
    diagnostic = _measurement(topics, expire_after)
    return {
        "problem": {
            "p": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.state,
            "value_template": "{{ 'OFF' if value_json.state == 'ready' else 'ON' }}",
        },
        "outbox": diagnostic | {"name": "Waiting messages", "value_template": "{{ value_json.outbox }}"},
        "dropped": diagnostic
        | {
            "name": "Dropped frames",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.dropped }}",
        },
        "memory": diagnostic
        | {
            "name": "Memory",
            "device_class": "data_size",
            "unit_of_measurement": "B",
            "value_template": "{{ value_json.rss_bytes }}",
        },
        "temperature": diagnostic
        | {
            "name": "Temperature",
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "value_template": "{{ value_json.temperature_c }}",
        },
    }


def _camera_components(
    topics: Topics, camera: AnnouncedCamera, expire_after: float
) -> dict[str, dict[str, Any]]:
    name = camera.id
    press = {"args": {"camera": name}}
    command = (
        f'{{"id": "{_COMMAND_ID}", "exp": {{{{ now().timestamp() + {_VALID} }}}}, {json.dumps(press)[1:]}'
    )
    found: dict[str, dict[str, Any]] = {
        f"{name}_connection": {
            "p": "binary_sensor",
            "name": f"{name} connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.status(name),
            "value_template": "{{ 'ON' if value_json.status == 'online' else 'OFF' }}",
        },
        f"{name}_fps": _measurement(topics, expire_after)
        | {
            "name": f"{name} frames a second",
            "unit_of_measurement": "fps",
            "value_template": f"{{{{ (value_json.cameras | selectattr('id', 'eq', '{name}')"
            " | first).fps }}",
        },
        f"{name}_heatmap": {
            "p": "image",
            "name": f"{name} latest event",
            "image_topic": topics.heatmap(name),
            "content_type": camera.content_type,
        },
        f"{name}_picture": {
            "p": "image",
            "name": f"{name} picture",
            "image_topic": topics.snapshot(name),
            "content_type": "image/jpeg",
        },
        f"{name}_snapshot": {
            "p": "button",
            "name": f"{name} take a picture",
            "command_topic": topics.command("snapshot"),
            "command_template": command,
        },
    }
    for label in camera.labels:
        found[f"{name}_{topic_part(label)}"] = {
            "p": "binary_sensor",
            "name": f"{name} {label}",
            "state_topic": topics.count(name, label),
            "value_template": "{{ 'ON' if value | int(0) > 0 else 'OFF' }}",
        }
    return found
