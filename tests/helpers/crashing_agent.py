"""`edge-agent`, but a variant named `crashes-in-STATE` kills the process while its update is in that state.

    python crashing_agent.py RECORD ARGUMENT...

RECORD is the update's. It is an inference on live frames that kills, by SIGSEGV; the golden samples go well.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import types
from pathlib import Path

from vedette_edge.__main__ import main
from vedette_edge.runtimes import RUNTIMES
from vedette_edge.runtimes import onnx as real

_CALLS_THAT_GO_WELL = 4


def crashing_runtime(record: Path) -> types.SimpleNamespace:
    """Return ONNX Runtime, but for what variants of such names do."""

    def clip_session(files, variant, threads, providers):
        session = real.clip_session(files, variant, threads, providers)
        calls = 0

        def run(clips):
            nonlocal calls
            calls += 1
            if calls > _CALLS_THAT_GO_WELL and variant.name.startswith("crashes-in-"):
                state = json.loads(record.read_text())["state"]
                if variant.name == f"crashes-in-{state}":
                    signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)
            return session.run(clips)

        return types.SimpleNamespace(run=run)

    return types.SimpleNamespace(
        providers=real.providers, clip_session=clip_session, stream_session=real.stream_session
    )


if __name__ == "__main__":
    sys.modules["crashing_runtime"] = crashing_runtime(Path(sys.argv[1]))
    RUNTIMES["onnx"] = "crashing_runtime"
    sys.exit(main(sys.argv[2:]))
