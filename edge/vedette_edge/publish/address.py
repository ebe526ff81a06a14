"""Where a broker is, how to prove who we are to it, and what to do where it refuses us."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import paho.mqtt.client as paho

from vedette_edge.errors import ConfigError

__all__ = ["Broker", "Protocol", "Tls", "refusal", "set_credentials", "text_of"]

Protocol: TypeAlias = Literal["5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to the broker; files are PEM."""

    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and how to speak to it."""

    host: str
    port: int
    protocol: Protocol = "5"
    username: str | None = None
    password_file: Path | None = None
    tls: Tls | None = None
    keepalive: int = 30

    def __str__(self) -> str:
        """Return host and port; never a credential."""
        return f"{self.host}:{self.port}"


def set_credentials(client: paho.Client, broker: Broker) -> None:
    """Give a client the user, password, certificate and key of `broker`.

    Raises:
        ConfigError: when one of the files cannot be used.
    """
    try:
        if broker.username is not None:
            lines = (
                broker.password_file.read_text(encoding="utf-8").splitlines() if broker.password_file else []
            )
            client.username_pw_set(broker.username, lines[0] if lines else None)
        if broker.tls is not None:
            tls = broker.tls
            for file in (tls.ca_file, tls.cert_file, tls.key_file):
                if file is not None:
                    file.open("rb").close()  # unlike ssl, this error names the file
            client.tls_set(str(tls.ca_file), _name(tls.cert_file), _name(tls.key_file))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"mqtt: cannot use the password_file or the tls files ({text_of(error)}); "
            "check that they exist, may be read by this user, and belong together"
        ) from error


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)


def refusal(broker: Broker, code: str) -> str:
    """Return a sentence on why a broker refuses us, and what to do; `code` is its own word."""
    lower = code.lower()
    if "password" in lower or "authori" in lower:
        advice = "check mqtt.username and mqtt.password_file, and the broker's access list"
    elif broker.protocol == "5" and ("protocol" in lower or "without an answer" in lower):
        advice = 'if it does not speak MQTT 5, set mqtt.protocol: "3.1.1"'
    elif broker.tls is None and "without an answer" in lower:
        advice = "if this port speaks TLS, give mqtt.tls"
    else:
        advice = "see the broker's log"
    return f"the MQTT broker at {broker} refuses this client ({code}): {advice}"


def text_of(error: Exception) -> str:
    """Return what an error of a socket or file says, without its number."""
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    strerror = getattr(error, "strerror", None)
    name = getattr(error, "filename", None)
    return f"{name}: {strerror}" if name and strerror else str(strerror or error)
