"""How often verdicts are given: all of them, or one of every few where the device must do less."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """Takes one of every `factor` verdicts. The factor may be set from any thread."""

    def __init__(self) -> None:
        """Take all."""
        self._factor = 1
        self._left_out = 0

    def set_factor(self, factor: int) -> None:
        """Take one of every `factor` from now on.

        Raises:
            ValueError: when it is less than 1.
        """
        if factor < 1:
            raise ValueError(f"the factor must be at least 1, got {factor}")
        self._factor = factor

    def take(self) -> bool:
        """Tell whether the next verdict is due."""
        if self._left_out + 1 < self._factor:
            self._left_out += 1
            return False
        self._left_out = 0
        return True

    def restart(self) -> None:
        """Take the next: a stream begins."""
        self._left_out = self._factor
