"""A device to try the service on: this machine's system, copied on write, with a systemd of its own.

`image` lends the system, and forgets afterwards what was written to it. `Container` boots it: a test's
commands run in there beside systemd, which is the one that this machine has installed. It takes root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from edge_helpers import wait_until

NSPAWN = "systemd-nspawn"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What starts at boot on this machine is not what is tried.
_OF_THE_OWNER = ("etc/systemd/system/multi-user.target.wants", "etc/systemd/system/default.target")


def why_absent() -> str:
    """Return why no container can be booted here; "" where one can."""
    if os.geteuid() != 0:
        return "it takes root"
    if shutil.which(NSPAWN) is None:
        return f"{NSPAWN} is not installed"
    return ""


@contextlib.contextmanager
def image(directory: Path) -> Iterator[Path]:
    """Give the root of a copy of this system; what is written there is in memory.

    Raises:
        OSError: when the kernel refuses the copy.
    """
    with contextlib.ExitStack() as stack:
        _mount(stack, directory, "-t", "tmpfs", "-o", "size=4g", "tmpfs")
        upper, work, merged = (directory / name for name in ("upper", "work", "merged"))
        for path in (upper, work, merged):
            path.mkdir()
        _mount(stack, merged, "-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "overlay")
        # Empty, it says that this system never booted, and gets an identity of its own.
        (merged / "etc/machine-id").write_text("")
        shutil.rmtree(merged / _OF_THE_OWNER[0], ignore_errors=True)
        (merged / _OF_THE_OWNER[1]).unlink(missing_ok=True)
        (merged / _OF_THE_OWNER[1]).symlink_to("/lib/systemd/system/multi-user.target")
        yield merged


def _mount(stack: contextlib.ExitStack, where: Path, *arguments: str) -> None:
    done = subprocess.run(["mount", *arguments, str(where)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"mounting at {where} is refused: {done.stderr.strip()}")
    # A process that is ending may hold it for a moment.
    stack.callback(subprocess.run, ["umount", "--lazy", str(where)], check=True)


class Container:
    """The system in `root`, booted or not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._enter: list[str] = []

    def prepare(self, script: str) -> None:
        """Run a shell script in it while it is off, with this machine's network, to install things."""
        names = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        passed = {name: value for name, value in os.environ.items() if name.upper().startswith(names)}
        settings = [f"--setenv={name}={value}" for name, value in passed.items()]
        command = [*self._command(), "--as-pid2", "--pipe", *settings, "sh", "-euc", script]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def boot(self) -> None:
        """Switch it on: systemd is process 1, and there is no network but its own loopback."""
        with (self.root.parent / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                [*self._command(), "--private-network", "--boot"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        wait_until(self._booted, 120, "the boot")

    def _booted(self) -> bool:
        # The first child of systemd-nspawn is not yet process 1 of the container.
        leader = self._leader()
        self._enter = ["nsenter", f"--target={leader}", "--all", "env", "-i"]
        return leader != 0 and self.answer("systemctl", "is-system-running") == "running"

    def _leader(self) -> int:
        """Return the process that is, or becomes, process 1 of the container; 0: there is none yet."""
        pid = self._nspawn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def power_off(self) -> None:
        """Switch it off, as its owner would; killed where that takes too long."""
        if self._nspawn is None:
            return
        self._nspawn.terminate()
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(10)
        self._nspawn = None

    def cut_power(self) -> None:
        """End it with all that runs there, at once; what its kernel had not written yet is not lost."""
        # With process 1 all others die; with systemd-nspawn none would.
        os.kill(self._leader(), signal.SIGKILL)
        self._nspawn.wait(30)
        self._nspawn = None

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root."""
        done = subprocess.run(
            [*self._enter, "--chdir=/", _PATH, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def answer(self, *command: object) -> str:
        """Return what a command prints, whether it succeeds or not."""
        return self.run(*command, check=False).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file of root's that everybody may read."""
        self.run("mkdir", "-p", Path(path).parent)
        self.run("python3", "-c", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])", path, text)

    def log(self, unit: str = "edge-agent", lines: int = 40) -> str:
        """Return what a service and systemd said of it."""
        return self.answer("journalctl", f"--unit={unit}", "--output=cat", "--no-pager", f"--lines={lines}")

    def _command(self) -> list[str]:
        options = ("--quiet", "--register=no", "--keep-unit", "--hostname=device")
        return [NSPAWN, *options, f"--directory={self.root}"]


class Service:
    """What systemd says of a unit in a container."""

    def __init__(self, device: Container, unit: str = "edge-agent") -> None:
        self._device = device
        self._unit = unit

    def __getattr__(self, name: str) -> str:
        """Return a property, by its name at systemd."""
        return self._device.answer("systemctl", "show", "--value", f"--property={name}", self._unit)

    def wait_for(self, state: str = "active", seconds: float = 30) -> None:
        """Wait for a state of the unit."""
        until = time.monotonic() + seconds
        while self.ActiveState != state:
            assert time.monotonic() < until, f"not {state} after {seconds} s:\n{self._device.log(self._unit)}"
            time.sleep(0.1)
