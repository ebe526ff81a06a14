"""Addresses of network cameras: what may be shown of them, and how a password joins them.

A password is in a file or in the environment, never in the configuration, and goes into no log, no message
and no command line. Queries are not shown either: some cameras want their password there.
"""

from __future__ import annotations

import os
import socket
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from vedette_edge.errors import VideoError

__all__ = ["read_password", "reason_of", "refusal", "shown", "with_credentials"]


def shown(url: str) -> str:
    """Return what may be shown of an address: scheme, host, port and path.

    >>> shown("rtsp://admin:secret@10.0.0.7:554/live?token=1")
    'rtsp://10.0.0.7:554/live'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def with_credentials(url: str, username: str | None, password: str) -> str:
    """Return the address with user name and password in it, escaped; unchanged without a user name.

    >>> with_credentials("rtsp://10.0.0.7/live", "me", "a@b")
    'rtsp://me:a%40b@10.0.0.7/live'
    """
    if username is None:
        return url
    parts = urlsplit(url)
    user = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def read_password(file: str | Path | None, variable: str | None) -> str:
    """Return the first line of a file, or the value of an environment variable; "" where neither is given.

    Raises:
        VideoError: when the file cannot be read, or there is no such variable.
    """
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise VideoError(
                f"{file}: cannot read the camera's password there ({reason_of(error)}); "
                "check that the file exists and that the agent's user may read it"
            ) from error
        return lines[0] if lines else ""
    if variable is not None:
        if variable not in os.environ:
            raise VideoError(
                f"the environment has no {variable}, which should hold the camera's password; set it where "
                "the agent is started, or give password_file"
            )
        return os.environ[variable]
    return ""


def reason_of(error: Exception) -> str:
    """Return why a file or a connection failed, in a few words."""
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def refusal(status: int, *, has_username: bool) -> str:
    """Return what an HTTP or RTSP status other than 200 means for whoever set the camera up."""
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            "the camera refuses the user name or password" if has_username else "the camera wants a password"
        )
    if status == HTTPStatus.NOT_FOUND:
        return "the camera has no such stream; check the path"
    return f"the camera answers with status {status}"
