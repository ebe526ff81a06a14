"""The MQTT contract as AsyncAPI 3.0: every topic with its payload, QoS and retain flag, from the models.

`python -m vedette_edge.asyncapi FILE` writes it as YAML.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from vedette_edge.ota.payloads import OtaDesired, OtaReport
from vedette_edge.remote.arguments import COMMANDS
from vedette_edge.remote.commands import Request, Result
from vedette_edge.topics import (
    ROOT,
    Birth,
    CameraStatus,
    ConfigReport,
    DriftReport,
    Event,
    Gap,
    GovernorState,
    HostState,
    Metrics,
    NodeState,
    Topics,
)

__all__ = ["CHANNELS", "Channel", "document", "main", "render"]

_JSON = "application/json"
_BINDING = "0.2.0"  # of AsyncAPI's MQTT bindings
_PARAMETERS = {
    "site": "Where the device stands.",
    "node": "The device.",
    "cam": "One of its cameras.",
    "label": "A label of a model, in lower case, of a-z, 0-9 and hyphens.",
    "name": f"Of the command: {', '.join(COMMANDS)}.",
    "host": "A control room.",
    "model": "A model, as the configuration names it.",
}
# The braces are AsyncAPI's: its addresses are templates.
_TOPICS = Topics("{site}", "{node}")


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic.

    Attributes:
        name: its key in the document.
        address: its template.
        action: whether the node sends or receives there.
        summary: what it carries.
        payload: model of the payload, or None where it is no JSON object.
        content_type: MIME type.
        qos: of MQTT.
        retain: whether the broker keeps the latest.
        expiry: seconds after which a message is void, None if never.
    """

    name: str
    address: str
    action: Literal["send", "receive"]
    summary: str
    payload: type[BaseModel] | None
    content_type: str = _JSON
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry: int | None = None


def _camera(name: str, summary: str, payload: type[BaseModel] | None, **changes: Any) -> Channel:
    address = f"{ROOT}/{{site}}/{{node}}/cam/{{cam}}/{name.lower()}"
    return replace(Channel(name, address, "send", summary, payload), **changes)


CHANNELS = (
    Channel(
        "state",
        _TOPICS.state,
        "send",
        "Whether the node is there; also its last will.",
        NodeState,
        retain=True,
    ),
    Channel("birth", _TOPICS.birth, "send", "What the node is.", Birth, retain=True),
    Channel("metrics", _TOPICS.metrics, "send", "How the node is doing.", Metrics, qos=0),
    Channel(
        "governor",
        _TOPICS.governor,
        "send",
        "What the node does to spare its device.",
        GovernorState,
        retain=True,
    ),
    Channel(
        "configReport",
        _TOPICS.config_report,
        "send",
        "What became of the latest configuration.",
        ConfigReport,
        retain=True,
    ),
    Channel(
        "otaReport",
        _TOPICS.ota_report,
        "send",
        "Where the updates of its models stand.",
        OtaReport,
        retain=True,
    ),
    Channel(
        "otaDesired",
        _TOPICS.ota_desired,
        "receive",
        "Asks the node to look for updates; it decides nothing else.",
        OtaDesired,
        retain=True,
    ),
    Channel("gap", _TOPICS.gap, "send", "What was dropped because too much waited.", Gap),
    Channel(
        "doctor",
        _TOPICS.doctor,
        "send",
        "Where `edge-agent doctor` tries whether the node may write; nobody need read it.",
        None,
        content_type="text/plain",
    ),
    _camera("status", "Whether a camera gives frames.", CameraStatus, retain=True),
    _camera("events", "What a camera saw.", Event),
    _camera(
        "count",
        "How many events of a label go on: a decimal number.",
        None,
        address=f"{ROOT}/{{site}}/{{node}}/cam/{{cam}}/count/{{label}}",
        content_type="text/plain",
        qos=0,
        retain=True,
    ),
    _camera(
        "drift",
        "How far a camera is from what a model knows.",
        DriftReport,
        address=f"{ROOT}/{{site}}/{{node}}/cam/{{cam}}/drift/{{model}}",
        retain=True,
    ),
    _camera(
        "heatmap",
        "The picture of the latest event, JPEG or WebP.",
        None,
        content_type="image/jpeg",
        retain=True,
    ),
    _camera("snapshot", "The plain frame, when it was asked for.", None, content_type="image/jpeg"),
    Channel(
        "command",
        f"{ROOT}/{{site}}/{{node}}/cmd/{{name}}",
        "receive",
        "A command; must not be retained.",
        Request,
        expiry=60,
    ),
    Channel(
        "response",
        f"{ROOT}/{{site}}/{{node}}/cmd/{{name}}/response",
        "send",
        "What became of a command; with MQTT 5 where its response topic says.",
        Result,
    ),
    Channel(
        "host",
        f"{ROOT}/{{site}}/host/{{host}}/state",
        "receive",
        "Whether a control room listens; also its last will.",
        HostState,
        retain=True,
    ),
)


def document() -> dict[str, Any]:
    """Return the AsyncAPI document."""
    schemas: dict[str, Any] = {}
    for model in [*(channel.payload for channel in CHANNELS if channel.payload), *COMMANDS.values()]:
        _add_schema(model, schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vedette edge agent",
            "version": ROOT.rpartition("/v")[2] + ".0.0",
            "description": "What a node says and takes over MQTT 5 or 3.1.1. Delivery is at least once: drop "
            "an event whose (boot, seq) was seen before. Arguments of the commands: "
            + "; ".join(f"{name}: {model.__name__}" for name, model in COMMANDS.items())
            + ".",
        },
        "defaultContentType": _JSON,
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {f"{channel.action}_{channel.name}": _operation(channel) for channel in CHANNELS},
        "components": {
            "messages": {channel.name: _message(channel) for channel in CHANNELS},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def render() -> str:
    """Return the document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110)


def main(arguments: list[str]) -> int:
    """Write the document into a file; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m vedette_edge.asyncapi FILE", file=sys.stderr)
        return 2
    Path(arguments[0]).write_text(render(), encoding="utf-8")
    return 0


def _channel(channel: Channel) -> dict[str, Any]:
    names = [part[1:-1] for part in channel.address.split("/") if part.startswith("{")]
    return {
        "address": channel.address,
        "summary": channel.summary,
        "parameters": {name: {"description": _PARAMETERS[name]} for name in names},
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    mqtt: dict[str, Any] = {"qos": channel.qos, "retain": channel.retain}
    if channel.expiry is not None:
        mqtt["messageExpiryInterval"] = channel.expiry
    return {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {"mqtt": mqtt | {"bindingVersion": _BINDING}},
    }


def _message(channel: Channel) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": channel.summary, "contentType": channel.content_type}
    if channel.payload is not None:
        described["payload"] = {"$ref": f"#/components/schemas/{channel.payload.__name__}"}
    return described


def _add_schema(model: type[BaseModel], schemas: dict[str, Any]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {name: _draft_07(part) for name, part in schema.pop("$defs", {}).items()}
    schemas[model.__name__] = _draft_07(schema)


def _draft_07(schema: Any) -> Any:
    """Return a schema as AsyncAPI takes it: tuples were lists of `items` then."""
    if isinstance(schema, list):
        return [_draft_07(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {("items" if key == "prefixItems" else key): _draft_07(value) for key, value in schema.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
