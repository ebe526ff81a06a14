"""The clock: certificates, schedules and the times of events rest on it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timezone

from vedette_edge.operation.doctor.finding import Finding, fail, ok, warn

__all__ = ["clock", "is_synchronised"]

_FIRST_YEAR = 2025  # no agent is older
_PATIENCE = 5.0  # seconds


def is_synchronised() -> bool | None:
    """Return whether the clock follows a time server, as systemd says; None where nobody tells."""
    command = ["timedatectl", "show", "--property", "NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def clock(
    now: Callable[[], float] = time.time, synchronised: Callable[[], bool | None] = is_synchronised
) -> Finding:
    """Tell whether the clock can be right.

    Args:
        now: Unix time, seconds.
        synchronised: whether it follows a time server; None: unknown.
    """
    moment = datetime.fromtimestamp(now(), timezone.utc)
    text = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if moment.year < _FIRST_YEAR:
        remedy = "set it: timedatectl set-ntp true; a board without a battery needs a time server at boot"
        return fail("clock", f"{text} cannot be", remedy)
    follows = synchronised()
    if follows is None:
        return ok("clock", f"{text}; nobody tells whether it follows a time server")
    if not follows:
        return warn("clock", f"{text}, follows no time server", "timedatectl set-ntp true")
    return ok("clock", f"{text}, follows a time server")
