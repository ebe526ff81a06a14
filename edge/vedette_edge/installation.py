"""Puts the service in its place on a device, and removes it again.

`plan` says which files go where, and touches nothing. `carry_out` writes them, each whole or not at all.
A configuration that is there is never overwritten; `removal` leaves it, and the state, unless told to purge.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.boards import Profile
from vedette_edge.config import load_config, parse_config
from vedette_edge.errors import ConfigError
from vedette_edge.files import write_atomically
from vedette_edge.resources import resource

__all__ = [
    "CONFIG",
    "Placed",
    "activation",
    "carry_out",
    "check_config",
    "deactivation",
    "plan",
    "removal",
    "remove",
    "run_all",
]

CONFIG = Path("/etc/edge-agent/edge-agent.yaml")
_UNIT = Path("/etc/systemd/system/edge-agent.service")
_DROP_IN = Path("/etc/systemd/system/edge-agent.service.d/50-board.conf")
_SYSUSERS = Path("/etc/sysusers.d/edge-agent.conf")
_TMPFILES = Path("/etc/tmpfiles.d/edge-agent.conf")
_RULES = Path("/etc/udev/rules.d")
_STATE = Path("/var/lib/edge-agent")
_EXECUTABLE = "/opt/vedette/bin/edge-agent"  # as the unit has it

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file to write.

    Attributes:
        path: where.
        content: its text.
        keep: leave what is there, because it may have been edited.
    """

    path: Path
    content: str
    keep: bool = False


def plan(profile: Profile | None, executable: Path, config: Path | None = None) -> list[Placed]:
    """Return the files of the service.

    Args:
        profile: of the board; its drop-in and rules are written, too.
        executable: `edge-agent`, as the unit shall start it.
        config: the configuration to install; by default the commented example.

    Raises:
        ConfigError: when the installation lacks a file, or `config` cannot be read.
    """
    unit = _read(resource("systemd", "edge-agent.service")).replace(_EXECUTABLE, str(executable))
    example = config or resource("firmware-configs", "edge-agent.example.yaml")
    placed = [
        Placed(_SYSUSERS, _read(resource("systemd", "edge-agent.sysusers"))),
        Placed(_TMPFILES, _read(resource("systemd", "edge-agent.tmpfiles"))),
        Placed(_UNIT, unit),
        Placed(CONFIG, _read(example), keep=True),
    ]
    if profile and profile.unit:
        head = f"# What the service may do besides on this board: {profile.title}.\n[Service]\n"
        placed.append(Placed(_DROP_IN, head + "\n".join(profile.unit) + "\n"))
    if profile and profile.udev:
        placed.append(
            Placed(_RULES / profile.udev, _read(resource("firmware-configs", "udev", profile.udev)))
        )
    return placed


def check_config(path: Path) -> None:
    """Check that a configuration is right, and stays so where it will be installed.

    Raises:
        ConfigError: when it is wrong, or has relative paths, which would then lead elsewhere.
    """
    if load_config(path) != parse_config(path.read_bytes(), CONFIG):
        raise ConfigError(
            f"{path}: has relative paths; they would lead elsewhere, as it will lie in {CONFIG.parent}: "
            "write them from / on"
        )


def carry_out(placed: Sequence[Placed], root: Path, tell: Callable[[str], None]) -> None:
    """Write files below `root`, and tell of each.

    Raises:
        ConfigError: when one cannot be written.
    """
    for file in placed:
        path = _below(root, file.path)
        if file.keep and path.exists():
            tell(f"{path}: kept as it is")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, file.content.encode())
            path.chmod(0o644)
        except OSError as error:
            raise ConfigError(f"{path}: cannot write it ({error.strerror}); installing takes root") from error
        tell(f"{path}: written")


def activation(*, start: bool) -> list[Command]:
    """Return the commands that make the system take up what was written."""
    commands: list[Command] = [
        ("systemd-sysusers", str(_SYSUSERS)),
        ("systemd-tmpfiles", "--create", str(_TMPFILES)),
        ("systemctl", "daemon-reload"),
        ("udevadm", "control", "--reload"),
    ]
    return [*commands, ("systemctl", "enable", "--now", _UNIT.name)] if start else commands


def deactivation(paths: Sequence[Path]) -> list[Command]:
    """Return the commands that stop the service, before its files `paths` are removed."""
    return [("systemctl", "disable", "--now", _UNIT.name)] if _UNIT in paths else []


def removal(root: Path, *, purge: bool) -> list[Path]:
    """Return what there is below `root` to remove; with `purge` also the configuration, keys and state."""
    rules = resource("firmware-configs", "udev").glob("*.rules")
    paths = [_UNIT, _DROP_IN, _DROP_IN.parent, _SYSUSERS, _TMPFILES, *(_RULES / rule.name for rule in rules)]
    if purge:
        paths += [CONFIG.parent, _STATE]
    return [path for path in (_below(root, one) for one in paths) if path.exists()]


def remove(paths: Sequence[Path], tell: Callable[[str], None]) -> None:
    """Remove files and directories, and tell of each. A drop-in directory with other files stays.

    Raises:
        ConfigError: when one cannot be removed.
    """
    for path in paths:
        try:
            if path.name == _DROP_IN.parent.name:
                if any(path.iterdir()):
                    tell(f"{path}: kept, it has other files")
                    continue
                path.rmdir()
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise ConfigError(f"{path}: cannot remove it ({error.strerror}); this takes root") from error
        tell(f"{path}: removed")


def run_all(commands: Sequence[Command], tell: Callable[[str], None]) -> None:
    """Run commands in turn, and tell of each; one whose program is not there is passed over.

    Raises:
        ConfigError: when one fails; the message has what it printed.
    """
    for command in commands:
        if shutil.which(command[0]) is None:
            tell(f"{command[0]} is not installed: passed over")
            continue
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ConfigError(f"'{' '.join(command)}' failed: {(result.stderr or result.stdout).strip()}")
        tell(" ".join(command))


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read it ({error})") from error
