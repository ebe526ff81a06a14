"""Calls a command of ours as the shell would, in this process."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any


def through_door(
    main: Callable[[], int], monkeypatch: Any, capsys: Any, directory: Any, *command: str, **environment: str
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs `command` with further arguments in `directory`.

    It returns the exit code and what was printed, without colours.
    """
    monkeypatch.chdir(directory)
    for name, value in {"COLUMNS": "200", **environment}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [*command, *map(str, arguments)])
        code = main()
        printed = capsys.readouterr()
        return code, re.sub(r"\x1b\[[0-9;]*m", "", printed.out + printed.err)

    return run
