from __future__ import annotations

import gc
import weakref

from vedette_edge.memory import give_back_memory


class Model:
    """Refers to itself, as what runs a camera does."""

    def __init__(self):
        self.itself = self


def test_what_refers_to_itself_alone_is_gone_at_once():
    gc.disable()
    try:
        seen = weakref.ref(Model())
        assert seen() is not None
        give_back_memory()
        assert seen() is None
    finally:
        gc.enable()
