"""A broker inside the agent, for demonstrations: amqtt, on loopback, without passwords, in memory only.

It speaks MQTT 3.1.1. What it holds is gone when the agent ends; a real device has a real broker.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import threading
import time
from types import TracebackType

from vedette_edge.errors import BrokerError, MissingExtraError, UsageError

__all__ = ["EmbeddedBroker", "parse_address"]

_STARTED = 10.0  # seconds
# Subscribers that wait for this broker look for it several times a second; what the agent says must not
# come before they are there, nor may the broker go before they have read the last of it.
_SETTLE = 0.5  # seconds


def parse_address(text: str, *, loopback: bool = False) -> tuple[str, int]:
    """Return (host, port) of "HOST:PORT".

    Args:
        text: such as "127.0.0.1:1883" or "[::1]:1883".
        loopback: refuse a host that others can reach.

    Raises:
        UsageError: when it is not of that form, or not loopback where it must be.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"expected HOST:PORT such as 127.0.0.1:1883, got '{text}'")
    if loopback and not _is_loopback(host):
        raise UsageError(
            "the embedded broker has no passwords, so it stays on loopback, such as 127.0.0.1:1883; "
            f"got '{text}'"
        )
    return host, int(port)


class EmbeddedBroker:
    """A running broker; use it as a context manager."""

    def __init__(self, host: str, port: int) -> None:
        """Prepare to listen on a loopback address."""
        self._host = host
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-broker", daemon=True)

    def __enter__(self) -> EmbeddedBroker:
        """Start it, and wait until it listens.

        Raises:
            MissingExtraError: when amqtt is not installed.
            BrokerError: when the port is taken, or the broker does not start.
        """
        try:
            import amqtt.broker  # noqa: F401  # optional, and slow to import
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "amqtt", "demo") from error
        self._thread.start()
        if not self._ready.wait(_STARTED) or self._failure is not None:
            raise BrokerError(self._why_not()) from self._failure
        time.sleep(_SETTLE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let subscribers read what is left, then stop."""
        time.sleep(_SETTLE)
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STARTED)

    def _why_not(self) -> str:
        cause = self._failure
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__
        where = f"{self._host}:{self._port}"
        if cause is not None and cause.errno == errno.EADDRINUSE:
            return f"the embedded broker cannot start: {where} is taken; give it another HOST:PORT"
        return f"the embedded broker cannot start on {where}: {cause or self._failure or 'no answer'}"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from amqtt.broker import Broker  # optional
        from amqtt.contexts import BrokerConfig, ListenerConfig

        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        host = f"[{self._host}]" if ":" in self._host else self._host
        broker = Broker(
            BrokerConfig(
                listeners={"default": ListenerConfig(bind=f"{host}:{self._port}")},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            )
        )
        await broker.start()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
