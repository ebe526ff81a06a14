"""What a machine says of itself: DMI on PCs, the device tree on ARM boards."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BoardFacts", "read_facts"]

_DMI = ("sys_vendor", "product_name", "board_name")


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What a machine says of itself.

    Attributes:
        architecture: as `uname -m` has it.
        dmi: vendor, product and board in one line; "" where there is no DMI.
        model: the device tree's model; "" where there is none.
        compatible: the device tree's names for the machine, the most special first.
    """

    architecture: str
    dmi: str = ""
    model: str = ""
    compatible: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the best name that there is."""
        return self.model or self.dmi or self.architecture


def read_facts(root: Path = Path("/"), architecture: str | None = None) -> BoardFacts:
    """Read what the machine whose files lie under `root` says of itself."""
    dmi = [_text(root / "sys/class/dmi/id" / name).strip() for name in _DMI]
    tree = root / "proc/device-tree"
    compatible = _text(tree / "compatible").split("\0")
    return BoardFacts(
        architecture=architecture or platform.machine(),
        dmi=" ".join(part for part in dmi if part),
        model=_text(tree / "model").strip("\0 \n"),
        compatible=tuple(name for name in compatible if name),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
