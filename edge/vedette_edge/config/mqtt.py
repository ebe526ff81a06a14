"""Where the alerts go, and how much may wait for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vedette_edge.config.sections import LocalPath, Section

__all__ = ["CommandsConfig", "HomeAssistantConfig", "MqttConfig", "OutboxConfig", "TlsConfig"]


class TlsConfig(Section):
    """TLS to the broker; the broker's certificate is always checked."""

    ca_file: LocalPath = Field(description="Certificates that may sign the broker's, PEM.")
    cert_file: LocalPath | None = Field(default=None, description="This device's certificate, PEM.")
    key_file: LocalPath | None = Field(default=None, description="This device's private key, PEM.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> TlsConfig:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        return self


class MqttConfig(Section):
    """Where the alerts go."""

    host: str = Field(default="localhost", min_length=1, description="Name or address of the broker.")
    port: int = Field(default=1883, ge=1, le=65535, description="1883 is customary, 8883 with TLS.")
    protocol: Literal["5", "3.1.1"] = Field(default="5", description="Version of MQTT, in quotes.")
    username: str | None = Field(default=None, min_length=1)
    password_file: LocalPath | None = Field(default=None, description="Its first line is the password.")
    tls: TlsConfig | None = Field(default=None, description="Without it, the connection is not encrypted.")
    keepalive: int = Field(
        default=30, ge=5, le=3600, description="Seconds; the broker reports us lost after 1.5 times this."
    )

    @model_validator(mode="after")
    def _password_has_its_user(self) -> MqttConfig:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        return self


class OutboxConfig(Section):
    """How much may wait for the broker."""

    max_bytes: int = Field(
        default=268_435_456, ge=1_048_576, description="Of payloads on disk; then the least important go."
    )
    spare_bytes: int = Field(
        default=8_388_608, ge=65_536, description="Of payloads in memory, while the disk refuses."
    )
    late_per_second: float = Field(
        default=200.0,
        gt=0,
        le=10_000,
        description="Messages that waited for the broker and now go, behind new ones.",
    )


class CommandsConfig(Section):
    """What the control room may ask of the node."""

    enabled: bool = Field(default=True, description="Whether the node listens to `cmd/+` at all.")
    remote_config: bool = Field(
        default=False, description="Whether it may be given another configuration over MQTT."
    )
    clock_skew: float = Field(
        default=30.0, ge=0, le=3600, description="Seconds by which the clocks may differ."
    )
    longest: float = Field(
        default=300.0, gt=0, le=86_400, description="Seconds that a command may be valid; more is refused."
    )


class HomeAssistantConfig(Section):
    """Discovery by Home Assistant."""

    enabled: bool = False
    prefix: str = Field(default="homeassistant", pattern=r"^[A-Za-z0-9_/-]+$")
