"""What a running agent says of itself on its own device: a UNIX socket, for `edge-agent status`.

Whoever connects gets one JSON object, and the connection is closed. A socket and not a file: nothing wears
the flash, and an agent that is gone leaves no figures behind that look alive. Under systemd it lies in the
service's RuntimeDirectory, else in `state_dir`; only root and the agent's own user may connect.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import VedetteError
from vedette_edge.ota.payloads import ModelReport
from vedette_edge.topics import GovernorState, Identifier, Metrics

__all__ = [
    "BrokerState",
    "CameraState",
    "LastEvent",
    "ModelState",
    "ShownStatus",
    "Status",
    "StatusServer",
    "read_status",
    "socket_of_the_agent",
    "sockets",
]

_log = logging.getLogger(__name__)

_SERVICE = Path("/run/edge-agent")
_NAME = "status.sock"
_PATIENCE = 2.0  # seconds for the other side
_PAUSE = 0.5  # seconds
_MAX_BYTES = 4 * 1024 * 1024
# A UNIX socket with a time limit does not wait for a place in the queue: it fails at once.
_BACKLOG = 128


ShownStatus: TypeAlias = Literal["starting", "online", "stalled", "offline", "disabled"]
"""A camera's status; `starting` until it has said one."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LastEvent(_Part):
    """The latest event of a camera."""

    type: Literal["new", "update", "end"]
    label: str
    score: float
    ts: float = Field(description="Unix time at which it was written, seconds.")


class CameraState(_Part):
    """One camera; its figures are in `Status.metrics`."""

    id: Identifier
    status: ShownStatus
    reason: str
    last_event: LastEvent | None


class ModelState(_Part):
    """One model; its figures are in `Status.metrics`."""

    name: Identifier
    bundle: str = Field(description="Name of the model in its manifest.")
    sha256: str = Field(description="Digest of the bundle's manifest.")
    variant: str
    runtime: str


class BrokerState(_Part):
    """The link to the broker."""

    address: str
    connected: bool


class Status(_Part):
    """The agent as it is now."""

    agent: str = Field(description="Version of the agent.")
    pid: int
    site: Identifier
    node: Identifier
    broker: BrokerState
    models: tuple[ModelState, ...]
    cameras: tuple[CameraState, ...]
    governor: GovernorState
    metrics: Metrics
    updates: tuple[ModelReport, ...] = Field(default=(), description="Of models that are updated from afar.")


def socket_of_the_agent(state_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where an agent with this environment puts its socket."""
    # systemd gives several directories separated by colons.
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(runtime) if runtime else state_dir) / _NAME


def sockets(state_dir: Path | None = None) -> list[Path]:
    """Return where the socket of an agent on this device may be: the service's first."""
    places = [_SERVICE] if state_dir is None else [_SERVICE, state_dir]
    return [place / _NAME for place in places]


class StatusServer:
    """Tells the status to whoever connects, one after the other, in a thread of its own."""

    def __init__(self, path: Path, status: Callable[[], Status]) -> None:
        """Listen at `path`; a socket that a killed agent left there is replaced.

        Args:
            path: of the socket, at most 107 bytes.
            status: gives the status; called from the server's thread.

        Raises:
            OSError: when nothing can listen there.
        """
        self._path = path
        self._status = status
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen(_BACKLOG)
        except OSError:
            self._listener.close()
            raise
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="status", daemon=True)
        self._thread.start()

    def __enter__(self) -> StatusServer:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server."""
        self.close()

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self._closing.set()
        # Closing alone would not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(_PATIENCE)
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                # Closed, or no file descriptor is left: then one may soon be.
                self._closing.wait(_PAUSE)
                continue
            with client:
                self._tell(client)

    def _tell(self, client: socket.socket) -> None:
        try:
            client.settimeout(_PATIENCE)
            client.sendall(self._status().model_dump_json().encode())
        except OSError as error:
            _log.info("somebody asked for the status and did not take it (%s)", error)
        except Exception:
            # The status must never cost the agent: whoever asked sees an empty answer.
            _log.exception("cannot tell the status")


def read_status(paths: Sequence[Path]) -> Status:
    """Ask the first agent that answers.

    Raises:
        VedetteError: when none does, this user may not ask, or the answer is that of another version.
    """
    for path in paths:
        try:
            answer = _ask(path)
        except PermissionError as error:
            raise VedetteError(
                f"{path}: this user may not ask the agent; run this as root, or as the agent's own user"
            ) from error
        except OSError:
            continue
        try:
            return Status.model_validate_json(answer)
        except ValidationError as error:
            raise VedetteError(
                f"{path}: the answer is not that of this version of the agent: use its own edge-agent"
            ) from error
    where = " nor at ".join(map(str, paths))
    raise VedetteError(
        f"no agent runs here: nobody answers at {where}; start it, as by systemctl start edge-agent, or give "
        "its configuration with --config"
    )


def _ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as channel:
        channel.settimeout(_PATIENCE)
        channel.connect(str(path))
        answer = b""
        while (part := channel.recv(65_536)) and len(answer) < _MAX_BYTES:
            answer += part
        return answer
