"""The files that come with the agent and are not code: board profiles, units, rules, templates.

In a wheel they lie in the package; in a clone, and in an editable installation of one, where the owner of the
repository expects them: in `firmware-configs` and `systemd`.
"""

from __future__ import annotations

from pathlib import Path

from vedette_edge.errors import ConfigError

__all__ = ["resource"]

_PACKAGE = Path(__file__).parent / "data"
_CLONE = Path(__file__).parents[2]


def resource(*parts: str) -> Path:
    """Return the path of a file or directory that comes with the agent.

    Args:
        parts: from the repository's root, such as `("firmware-configs", "boards")`.

    Raises:
        ConfigError: when the installation lacks it.
    """
    for root in (_PACKAGE, _CLONE):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(parts)
    raise ConfigError(f"{name} is not in this installation of vedette ({_PACKAGE}): install it again")
