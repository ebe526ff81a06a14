"""Silence for libraries that talk: converters that print progress, log from C++ and warn of themselves."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing be printed, logged or warned of inside, be it from Python or from C++.

    The process's own standard output and error point elsewhere meanwhile, for all of its threads: what others
    print in that time is lost too.
    """
    handlers = list(logging.root.handlers)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        nowhere = stack.enter_context(tempfile.TemporaryFile())
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            kept = os.dup(descriptor)
            os.dup2(nowhere.fileno(), descriptor)
            stack.callback(_give_back, kept, descriptor)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # A first call of `logging.warning` adds a handler, which would print all later messages.
            logging.root.handlers[:] = handlers


def _give_back(kept: int, descriptor: int) -> None:
    os.dup2(kept, descriptor)
    os.close(kept)
