"""The signals that the running agent takes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["signals_caught"]


@contextlib.contextmanager
def signals_caught(stop: Callable[[], None], hang_up: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGTERM and SIGINT, and `hang_up` at SIGHUP; from the main thread."""
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: hang_up}
    before = {number: signal.signal(number, lambda *_, act=act: act()) for number, act in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
