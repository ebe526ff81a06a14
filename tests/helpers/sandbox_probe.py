"""Tries what a service should not be able to do, and what it must be able to; writes the errors to a file.

    python sandbox_probe.py RESULTS [STATE]

STATE is the service's own directory, by default the agent's. Each attempt is made by a process of its own.
The file is a JSON object: name -> name of the error, "" where the attempt succeeded.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

AGENTS, UPDATERS = Path("/var/lib/edge-agent"), Path("/var/lib/edge-models")
STATE = Path(sys.argv[2]) if __name__ == "__main__" and sys.argv[2:] else AGENTS
OTHERS = UPDATERS if STATE == AGENTS else AGENTS
CONFIG = Path("/etc/edge-agent/edge-agent.yaml")
_CLONE_NEWUSER, _ADDR_NO_RANDOMIZE = 0x10000000, 0x0040000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")


def _create(path: str) -> None:
    file = Path(path)
    file.write_text("probe")
    file.unlink()


def _make(mode: int, device: int = 0) -> None:
    path = STATE / "probe"
    try:
        os.mknod(path, mode, device)
        path.chmod(stat.S_IMODE(mode))
    finally:
        path.unlink(missing_ok=True)


def _append(path: Path) -> None:
    with path.open("a"):
        pass


FORBIDDEN: dict[str, Callable[[], object]] = {
    "write to /etc": lambda: _create("/etc/probe"),
    "write to the system": lambda: _create("/usr/probe"),
    "write into the other's directory": lambda: _create(f"{OTHERS}/probe"),
    "write to where anybody may": lambda: _create("/run/lock/probe"),
    "change the program": lambda: _create("/opt/vedette/probe"),
    "change the configuration": lambda: _append(CONFIG),
    "read a home": lambda: Path("/home/owner/letter").read_text(),
    "read root's home": lambda: os.listdir("/root"),
    "see the files of others in /tmp": lambda: Path("/tmp/of-others").read_text(),
    "see the processes of others": lambda: os.stat("/proc/1/status"),
    "see the console": lambda: os.stat("/dev/console"),
    "change the kernel's settings": lambda: _append(Path("/proc/sys/net/ipv4/ip_forward")),
    "ask the kernel by netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
    "write memory and run it": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "open a namespace": lambda: _call(_LIBC.unshare(_CLONE_NEWUSER)),
    "become root": lambda: os.setuid(0),
    "make a program that runs as its owner": lambda: _make(stat.S_IFREG | 0o4755),
    "make a device": lambda: _make(stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "mount": lambda: _call(_LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None)),
    "change the personality": lambda: _call(_LIBC.personality(_ADDR_NO_RANDOMIZE)),
    "change the host's name": lambda: socket.sethostname("probe"),
}
NEEDED: dict[str, Callable[[], object]] = {
    "write its state": lambda: _create(f"{STATE}/probe"),
    "read the other's directory": lambda: os.listdir(OTHERS),
    "open a socket for its status": lambda: _create("/run/edge-agent/probe"),
    "read its configuration": CONFIG.read_text,
    "read its key": Path("/etc/edge-agent/keys/node-1.key").read_text,
    "reach the broker": lambda: socket.create_connection(("localhost", 8883), 5),
    "read about the processor": Path("/proc/cpuinfo").read_text,
    "bind its threads to cores": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
}


def attempt(act: Callable[[], object]) -> str:
    """Return the name of the error of an act; "" where it succeeds."""
    child = os.fork()
    if not child:
        try:
            act()
        except OSError as error:
            os._exit(error.errno or errno.EIO)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return errno.errorcode.get(code, str(code)) if code else ""


if __name__ == "__main__":
    results = {name: attempt(act) for name, act in (FORBIDDEN | NEEDED).items()}
    Path(sys.argv[1]).write_text(json.dumps(results))
