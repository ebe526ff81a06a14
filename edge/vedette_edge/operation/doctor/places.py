"""Places that the agent needs: state directory, credentials, room on the disk and its speed, a port."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vedette_edge.operation.doctor.finding import Finding, fail, ok, warn

__all__ = ["credential", "disk_space", "port", "seconds_to_sync", "state_directory", "sync", "user"]

_MIB = 1024 * 1024
_LEAST = 64 * _MIB
_SLOW, _TOO_SLOW = 0.1, 1.0  # seconds
_TRIES = 5


def user(number: int) -> Finding:
    """Tell for whom the permissions are checked."""
    if number == 0:
        remedy = "for the service's permissions: sudo -u vedette edge-agent doctor ..."
        return warn("user", "this is root, who may do what the agent may not", remedy)
    return ok("user", f"permissions are those of user {number}")


def nearest(path: Path) -> Path:
    """Return the path, or the nearest directory above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def state_directory(path: Path, may: Callable[[Path, int], bool] = os.access) -> Finding:
    """Tell whether the agent can keep what is undelivered, and nobody else reads it."""
    subject = "state_dir"
    there = nearest(path)
    if not there.is_dir() or not may(there, os.W_OK | os.X_OK):
        who = f"user {os.geteuid()} may not write there"
        return fail(subject, f"{path}: {who}", f"chown it to the agent's user, or mend {there}")
    if not path.exists():
        return ok(subject, f"{path} is not there yet and can be made")
    if path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        return warn(subject, f"{path} is open to other users", f"chmod 700 {path}")
    return ok(subject, f"{path} can be written")


def credential(path: Path, may: Callable[[Path, int], bool] = os.access) -> Finding:
    """Tell whether a password or a key can be read, and by the agent alone."""
    subject = f"credential {path}"
    if not path.is_file():
        return fail(subject, "it is not there", "write it there, or correct the configuration")
    if not may(path, os.R_OK):
        return fail(subject, f"user {os.geteuid()} may not read it", "chown it to the agent's user")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warn(subject, "other users may read or write it", f"chmod 600 {path}")
    return ok(subject, "can be read, by its owner alone")


def disk_space(
    path: Path, wanted: int, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Finding:
    """Tell whether there is room.

    Args:
        path: on the disk in question.
        wanted: bytes that the configuration allows to be kept there.
        usage: (total, used, free) of a disk, bytes.
    """
    _, _, free = usage(nearest(path))
    text = f"{free / _MIB:.0f} MiB free for {path}"
    if free < _LEAST:
        return fail("disk", text, "delete what is not needed")
    if free < wanted:
        remedy = f"the configuration allows {wanted / _MIB:.0f} MiB: lower max_bytes, or make room"
        return warn("disk", text, remedy)
    return ok("disk", text)


def seconds_to_sync(directory: Path) -> float:
    """Return the median time in which 4 KiB are safe on the disk, seconds.

    Raises:
        OSError: when nothing can be written there.
    """
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_TRIES):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def sync(path: Path, measure: Callable[[Path], float] = seconds_to_sync) -> Finding:
    """Tell whether the disk takes an event in time: each one is synced before it is sent."""
    try:
        seconds = measure(nearest(path))
    except OSError as error:
        return fail("sync", f"{path}: nothing can be written there ({error.strerror})", "see to the disk")
    text = f"{1000 * seconds:.1f} ms until an event is safe on the disk"
    if seconds > _TOO_SLOW:
        return fail("sync", text, "the disk is failing or overloaded: replace the card")
    if seconds > _SLOW:
        return warn("sync", text, "prefer an SSD or an industrial card")
    return ok("sync", text)


def port(host: str, number: int) -> Finding:
    """Tell whether Prometheus' port is free."""
    subject = f"port {number}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server itself does: a connection of before that lingers is no conflict.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        remedy = f"see what listens there: ss -ltnp 'sport = :{number}'" if taken else "check prometheus.host"
        return fail(subject, f"{host}: {error.strerror}", f"{remedy}, or choose another prometheus.port")
    return ok(subject, f"free at {host}, for Prometheus")
