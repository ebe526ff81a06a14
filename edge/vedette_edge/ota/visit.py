"""One look for newer models: goes on where the last one ended, until it must wait for the agent or is done.

Every state is on the disk before what it stands for is begun, so a visit may be killed at any point. What
goes wrong with one model does not keep the others from being updated, and nothing here can take the committed
model away.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

from vedette_edge.config import AgentConfig
from vedette_edge.config.ota import OtaConfig
from vedette_edge.errors import VedetteError
from vedette_edge.ota.machine import Event, NothingNew, after
from vedette_edge.ota.record import Record
from vedette_edge.ota.stages import Stages, Tools
from vedette_edge.ota.trust import Repository

__all__ = ["Visited", "visit"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visited:
    """How a visit left a model.

    Attributes:
        model: its name.
        record: where its update stands; None where that could not be read.
        trouble: what the visit could not do; nothing where all went well, also where there was nothing to do.
    """

    model: str
    record: Record | None
    trouble: str = ""


def visit(config: AgentConfig, ota: OtaConfig, tools: Tools) -> list[Visited]:
    """Take the update of each model as far as it goes now; the caller holds `lock.only_one`.

    Args:
        config: the agent's configuration.
        ota: its section of that name.
        tools: what to work with.
    """
    with contextlib.ExitStack() as stack:
        opened = functools.cache(lambda: stack.enter_context(tools.repository()))
        return [_visited(model, config, ota, tools, opened) for model in ota.models]


def _visited(
    model: str, config: AgentConfig, ota: OtaConfig, tools: Tools, repository: Callable[[], Repository]
) -> Visited:
    """Go on with one model until there is nothing more to do now, or something goes wrong."""
    written: Record | None = None
    try:
        stages = Stages(model, config, ota, tools, repository)
        record = written = stages.store.record()
        while event := stages.do(record):
            following = after(record, event, tools.now())
            if following.state == "check":
                record = following  # changes nothing, and is not worth a write each time
            elif record.state == "check" and isinstance(event, NothingNew):
                record = written
            else:
                # On the disk before anybody acts on it.
                before, record = record, stages.store.write(following)
                written = record
                _tell(before, record, event)
    except (VedetteError, OSError) as error:
        _log.warning("model '%s': %s", model, error, extra={"event": "ota", "model": model})
        return Visited(model, written, str(error))
    return Visited(model, record)


def _tell(before: Record, record: Record, event: Event) -> None:
    """Log a transition."""
    reason: str = getattr(event, "reason", "")
    of = record.candidate or before.candidate
    _log.log(
        logging.WARNING if reason else logging.INFO,
        "model '%s': %s -> %s%s%s",
        *(record.model, before.state, record.state),
        f", release {of.release}" if of else "",
        f": {reason}" if reason else "",
        extra={
            "event": "ota",
            "model": record.model,
            "state": record.state,
            "before": before.state,
            "seq": record.seq,
            "release": of.release if of else None,
            "digest": of.digest if of else None,
        },
    )
