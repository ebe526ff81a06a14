"""Where passphrases and PINs come from: the environment, a file, or a person at the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from vedette_edge.errors import UsageError

__all__ = ["LEAST_LENGTH", "VARIABLE", "Passphrases", "Secrets"]

VARIABLE = "VEDETTE_PASSPHRASE"
LEAST_LENGTH = 8


class Secrets(Protocol):
    """Gives the secret of a key."""

    def secret(self, name: str, *, new: bool = False) -> str | None:
        """Return the passphrase or PIN of a key; None where there is none to be had here.

        Args:
            name: of the key.
            new: the key is being made, so whoever types it types it twice.
        """
        ...


class Passphrases:
    """`VEDETTE_PASSPHRASE_NAME`, then `VEDETTE_PASSPHRASE`, then a file, then whoever sits there."""

    def __init__(
        self,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ask: Callable[[str, bool], str] | None = None,
    ) -> None:
        """Look in these places.

        Args:
            file: its first line is a passphrase.
            environment: by default the process's.
            ask: asks a person, twice where the flag is set; by default at the terminal, where there is one.

        Raises:
            UsageError: when the file cannot be read.
        """
        self._environment = os.environ if environment is None else environment
        self._ask = ask or (_ask if sys.stdin is not None and sys.stdin.isatty() else None)
        self._known: dict[str, str] = {}
        self._of_file = None
        if file is not None:
            try:
                self._of_file = (file.read_text(encoding="utf-8").splitlines() or [""])[0]
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{file}: cannot read the passphrase ({error})") from error

    def secret(self, name: str, *, new: bool = False) -> str | None:
        """Return the secret of a key; None where there is none to be had here."""
        own = f"{VARIABLE}_{name.upper().replace('-', '_')}"
        for found in (self._environment.get(own), self._environment.get(VARIABLE), self._of_file):
            if found is not None:
                return found
        if name not in self._known and self._ask is not None:
            self._known[name] = self._ask(name, new)
        return self._known.get(name)


def _ask(name: str, new: bool) -> str:
    import typer

    text = f"Passphrase for the new key '{name}'" if new else f"Passphrase or PIN of the key '{name}'"
    answer: str = typer.prompt(text, hide_input=True, confirmation_prompt=new, err=True)
    return answer
