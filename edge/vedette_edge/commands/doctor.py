"""`edge-agent doctor`: what is wrong with this device or its configuration, and how to mend it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from vedette_edge.agent import broker_of
from vedette_edge.config import AgentConfig, load_config
from vedette_edge.errors import ConfigError, VedetteError
from vedette_edge.operation.doctor import Finding, examine
from vedette_edge.operation.status import Status, read_status, sockets

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is wrong with this device, and how to mend it",
        description="Looks at hardware, runtimes, models, cameras, broker, permissions, clock and disk. What "
        "a running agent holds is asked of it. Ends with code 1 when something must be mended.",
        epilog="example: edge-agent doctor --config /etc/edge-agent/edge-agent.yaml",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="also look at what it names")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    failed = 0
    config, wrong = _configuration(options.config)
    where = broker_of(config.mqtt) if config else None
    found = [wrong] if wrong else []
    for finding in (*found, *examine(config, where, _running(config))):
        print(json.dumps(asdict(finding)) if options.json else finding, flush=True)
        failed += finding.level == "fail"
    if failed:
        raise VedetteError(f"{failed} thing(s) must be mended before the agent can do its work")


def _configuration(path: Path | None) -> tuple[AgentConfig | None, Finding | None]:
    try:
        return (load_config(path) if path else None), None
    except ConfigError as error:
        return None, Finding("fail", "configuration", str(error))


def _running(config: AgentConfig | None) -> Status | None:
    try:
        running = read_status(sockets(config.state_dir if config else None))
    except VedetteError:
        return None
    if config is not None and (running.site, running.node) != (config.site, config.node):
        return None
    return running
