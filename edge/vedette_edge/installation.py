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
_UNITS = Path("/etc/systemd/system")
_AGENT, _UPDATER = "edge-agent.service", "edge-agent-ota.service"
# What makes the updater look. Without a section `ota` in the configuration a look does nothing, so these may
# always be on, and whoever adds the section has nothing else to do.
_LOOKS = ("edge-agent-ota.timer", "edge-agent-ota.path")
_DROP_IN = "50-board.conf"
_SYSUSERS = Path("/etc/sysusers.d/edge-agent.conf")
_TMPFILES = Path("/etc/tmpfiles.d/edge-agent.conf")
_RULES = Path("/etc/udev/rules.d")
_STATES = (Path("/var/lib/edge-agent"), Path("/var/lib/edge-models"))
_EXECUTABLE = "/opt/vedette/bin/edge-agent"  # as the units have it

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
    """Return the files of the agent's service, and of its updater.

    Args:
        profile: of the board; its drop-in and rules are written, too.
        executable: `edge-agent`, as the units shall start it.
        config: the configuration to install; by default the commented example.

    Raises:
        ConfigError: when the installation lacks a file, or `config` cannot be read.
    """
    example = config or resource("firmware-configs", "edge-agent.example.yaml")
    units = {name: _read(resource("systemd", name)) for name in (_AGENT, _UPDATER, *_LOOKS)}
    placed = [
        Placed(_SYSUSERS, _read(resource("systemd", "edge-agent.sysusers"))),
        Placed(_TMPFILES, _read(resource("systemd", "edge-agent.tmpfiles"))),
        *(Placed(_UNITS / name, text.replace(_EXECUTABLE, str(executable))) for name, text in units.items()),
        Placed(CONFIG, _read(example), keep=True),
    ]
    if profile:
        placed += [
            _drop_in(name, profile.title, lines)
            for name, lines in ((_AGENT, profile.unit), (_UPDATER, profile.updater))
            if lines
        ]
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


def _drop_in(unit: str, board: str, lines: Sequence[str]) -> Placed:
    head = f"# What the service may do besides on this board: {board}.\n[Service]\n"
    return Placed(_drop_in_path(unit), head + "\n".join(lines) + "\n")


def _drop_in_path(unit: str) -> Path:
    return _UNITS / f"{unit}.d" / _DROP_IN


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
    return [*commands, ("systemctl", "enable", "--now", _AGENT, *_LOOKS)] if start else commands


def deactivation(paths: Sequence[Path]) -> list[Command]:
    """Return the commands that stop what runs of the files that are about to be removed."""
    there = {path.name for path in paths}
    started = [name for name in (_AGENT, *_LOOKS) if name in there]
    commands: list[Command] = [("systemctl", "disable", "--now", *started)] if started else []
    return [*commands, ("systemctl", "stop", _UPDATER)] if _UPDATER in there else commands


def removal(root: Path, *, purge: bool) -> list[Path]:
    """Return what there is below `root` to remove; with `purge` also what is configured and kept."""
    rules = resource("firmware-configs", "udev").glob("*.rules")
    units = (_AGENT, _UPDATER, *_LOOKS)
    drop_ins = [_drop_in_path(unit) for unit in units]
    paths = [_UNITS / name for name in units]
    paths += [*drop_ins, *(drop_in.parent for drop_in in drop_ins), _SYSUSERS, _TMPFILES]
    paths += [_RULES / rule.name for rule in rules]
    if purge:
        paths += [CONFIG.parent, *_STATES]
    return [path for path in (_below(root, one) for one in paths) if path.exists()]


def remove(paths: Sequence[Path], tell: Callable[[str], None]) -> None:
    """Remove files and directories, and tell of each. A drop-in directory with other files stays.

    Raises:
        ConfigError: when one cannot be removed.
    """
    for path in paths:
        try:
            if path.suffix == ".d":
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
