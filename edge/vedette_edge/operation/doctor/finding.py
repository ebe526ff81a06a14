"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vedette_edge.errors import VedetteError

__all__ = ["Check", "Finding", "carried_out", "fail", "ok", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        level: `fail`: the agent cannot do its work; `warn`: it can, but not as it should.
        subject: what was looked at.
        text: what was found.
        remedy: how to mend it; "" where there is nothing to mend.
    """

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.level:4}  {self.subject}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")


Check: TypeAlias = tuple[str, Callable[[], Finding | Iterable[Finding]]]
"""(subject, what looks at it)."""


def ok(subject: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding("ok", subject, text)


def warn(subject: str, text: str, remedy: str) -> Finding:
    """Return that something is not as it should be."""
    return Finding("warn", subject, text, remedy)


def fail(subject: str, text: str, remedy: str) -> Finding:
    """Return that the agent cannot do its work."""
    return Finding("fail", subject, text, remedy)


def carried_out(checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what the checks find, one after the other; one that fails itself does not keep the others."""
    for subject, look in checks:
        try:
            found = look()
            yield from [found] if isinstance(found, Finding) else found
        except VedetteError as error:
            yield Finding("fail", subject, str(error))
        except Exception as error:
            what = f"could not be checked ({type(error).__name__}: {error})"
            yield warn(subject, what, "this is a defect of the check: please report it")
