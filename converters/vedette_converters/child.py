"""Calls of one function in a process of its own, which is kept from call to call.

What a library brings with it stays there: threads that no fork survives, memory, and the signals it dies of.
As a program, `python -m vedette_converters.child HANDLE MODULE:FUNCTION` answers the calls of a `Child`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any

from vedette_edge.errors import VedetteError

__all__ = ["Child", "main"]

_PATIENCE = 10.0  # seconds to end in


class Child:
    """A process that answers calls of one function; it starts with the first call."""

    def __init__(self, function: str) -> None:
        """Call `function`, named `module:function`; what it takes and returns can be pickled."""
        self._function = function
        self._running: tuple[subprocess.Popen[bytes], Connection, IO[bytes]] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function returns.

        Raises:
            VedetteError: as the function.
            ChildProcessError: when it raises anything else, or the process dies; says why in one line.
        """
        self._running = self._running or self._start()
        _, connection, _ = self._running
        try:
            connection.send(arguments)
            value, error = connection.recv()
        except (EOFError, ConnectionError) as lost:
            raise ChildProcessError(f"the process died, {self._end()}") from lost
        except BaseException:  # an answer may still come, which is not that of the next call
            self._end(kill=True)
            raise
        if isinstance(error, str):
            raise ChildProcessError(error)
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """End the process, if there is one; another call starts another one."""
        if self._running:
            self._end()

    def _start(self) -> tuple[subprocess.Popen[bytes], Connection, IO[bytes]]:
        ours, theirs = Pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        command = [sys.executable, "-m", "vedette_converters.child", str(theirs.fileno()), self._function]
        with theirs:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[theirs.fileno()],
            )
        return process, ours, said

    def _end(self, *, kill: bool = False) -> str:
        """End the process; return its exit code and what it said last."""
        assert self._running
        (process, connection, said), self._running = self._running, None
        connection.close()
        if kill:
            process.kill()
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        with said:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        return f"code {code}: {lines[-1] if lines else 'it said nothing'}"


def main(handle: int, function: str) -> None:
    """Answer calls until the other side closes the connection."""
    module, _, name = function.partition(":")
    with Connection(handle) as connection:
        call = getattr(import_module(module), name)
        while True:
            try:
                arguments = connection.recv()
            except (EOFError, ConnectionError):
                return
            connection.send(_answer(call, arguments))


def _answer(call: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, VedetteError | str | None]:
    """Return what a call returns, and what it raises instead; what is no `VedetteError` in one line."""
    try:
        return call(*arguments), None
    except VedetteError as error:
        return None, error
    except Exception as error:  # libraries raise classes of their own that the other side cannot read
        return None, f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
