"""The JSON Schemas of everything that leaves or enters: manifest, configuration, MQTT payloads.

`python -m vedette_edge.schemas DIR` writes them as files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vedette_edge.config import AgentConfig
from vedette_edge.manifest import Manifest
from vedette_edge.ota.payloads import OtaDesired, OtaReport
from vedette_edge.recording.record import ClipRecord
from vedette_edge.remote.commands import Request, Result
from vedette_edge.topics import (
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
)

__all__ = ["SCHEMAS", "main", "render", "schema_of"]

SCHEMAS: dict[str, type[BaseModel]] = {
    "manifest": Manifest,
    "agent-config": AgentConfig,
    "state": NodeState,
    "birth": Birth,
    "camera-status": CameraStatus,
    "event": Event,
    "clip": ClipRecord,
    "metrics": Metrics,
    "gap": Gap,
    "governor": GovernorState,
    "config-report": ConfigReport,
    "host-state": HostState,
    "command": Request,
    "command-result": Result,
    "drift": DriftReport,
    "ota-report": OtaReport,
    "ota-desired": OtaDesired,
}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of that name, a key of `SCHEMAS`."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | SCHEMAS[name].model_json_schema()


def render(name: str) -> str:
    """Return the text of `<name>.json`."""
    return json.dumps(schema_of(name), indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Write all schemas into a directory; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m vedette_edge.schemas DIR", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (directory / f"{name}.json").write_text(render(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
