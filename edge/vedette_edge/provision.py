"""Keys and certificates for the broker, the control room and each node, made with OpenSSL.

A directory is the authority: `ca.pem`, `ca.key`, and a folder a name with `NAME.pem`, `NAME.key` and
`ca.pem`. The common name is the name, which the broker takes for the user's (firmware-configs/mosquitto).
Keys are EC P-256, mode 0600, and never leave the folder that they were made in. Nothing is overwritten.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vedette_edge.errors import ConfigError

__all__ = ["Authority", "mqtt_section"]

_CA_DAYS, _DAYS = 3650, 825  # ten years; the most that browsers and Apple's systems accept


class Authority:
    """Signs certificates; its directory is its only state."""

    def __init__(self, directory: Path) -> None:
        """Use the authority in `directory`, which need not be there yet."""
        self._directory = directory
        self._certificate, self._key = directory / "ca.pem", directory / "ca.key"

    def establish(self) -> bool:
        """Make the authority if it is not there; return whether it was made.

        Raises:
            ConfigError: when half of it is there, it cannot be written, or OpenSSL fails.
        """
        there = self._certificate.exists(), self._key.exists()
        if all(there):
            return False
        if any(there):
            raise ConfigError(
                f"{self._directory} has only one of ca.pem and ca.key: restore the other, or start anew"
            )
        with _workshop(self._directory) as made:
            _openssl(
                *_new_key(made / "ca.key"), "-x509", "-days", str(_CA_DAYS), "-subj", "/CN=Vedette CA",
                "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", str(made / "ca.pem"),
            )  # fmt: skip
            for name in ("ca.key", "ca.pem"):
                (made / name).rename(self._directory / name)
        return True

    def issue(self, name: str, *, hosts: tuple[str, ...] = ()) -> Path:
        """Make the key and certificate of `name`; return their folder.

        Args:
            name: the common name.
            hosts: names and addresses under which it serves; without any, it is a client.

        Raises:
            ConfigError: when there is a folder of that name already, it cannot be written, or OpenSSL fails.
        """
        self.establish()
        folder = self._directory / name
        if folder.exists():
            raise ConfigError(f"{folder} is there already: keep it, or move it away to have another key")
        with _workshop(self._directory) as made:
            key, request, certificate = made / f"{name}.key", made / "request", made / f"{name}.pem"
            extensions = made / "extensions"
            extensions.write_text(_extensions(hosts), encoding="ascii")
            _openssl(*_new_key(key), "-subj", f"/CN={name}", "-out", str(request))
            _openssl(
                "x509", "-req", "-in", str(request), "-CA", str(self._certificate), "-CAkey", str(self._key),
                "-days", str(_DAYS), "-sha256", "-set_serial", f"0x{os.urandom(16).hex()}",
                "-extfile", str(extensions), "-out", str(certificate),
            )  # fmt: skip
            request.unlink()
            extensions.unlink()
            shutil.copyfile(self._certificate, made / "ca.pem")
            made.rename(folder)
        return folder


def mqtt_section(folder: Path, name: str, broker: str, port: int = 8883) -> str:
    """Return the `mqtt` section of the configuration of node `name`, whose files lie in `folder`."""
    return (
        f"mqtt:\n  host: {broker}\n  port: {port}\n  tls:\n    ca_file: {folder / 'ca.pem'}\n"
        f"    cert_file: {folder / f'{name}.pem'}\n    key_file: {folder / f'{name}.key'}\n"
    )


def _new_key(path: Path) -> tuple[str, ...]:
    # Without a passphrase: a device has nobody to type it.
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    return ("req", "-new", *curve, "-noenc", "-sha256", "-keyout", str(path))


def _extensions(hosts: tuple[str, ...]) -> str:
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={'serverAuth' if hosts else 'clientAuth'}",
    ]
    if hosts:
        lines.append("subjectAltName=" + ",".join(_alternative(host) for host in hosts))
    return "\n".join(lines) + "\n"


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


@contextlib.contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    """Give a private directory beside the result, so that what is made appears whole; remove what is left."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Path(tempfile.mkdtemp(prefix=".making-", dir=directory))
    except OSError as error:
        raise ConfigError(f"{directory}: cannot write keys there ({error.strerror})") from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _openssl(*arguments: str) -> None:
    try:
        # OpenSSL writes keys as the umask has it.
        result = subprocess.run(
            ["openssl", *arguments], capture_output=True, text=True, check=False, umask=0o077
        )
    except FileNotFoundError:
        raise ConfigError("openssl is not installed: apt-get install openssl") from None
    if result.returncode:
        raise ConfigError(f"openssl {arguments[0]} failed: {result.stderr.strip()}")
