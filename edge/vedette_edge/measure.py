"""What a call of a loaded model costs on this machine; as a program, of one variant of a bundle.

`python -m vedette_edge.measure BUNDLE VARIANT THREADS SECONDS` prints it as JSON. In a process of its own,
the peak memory is that of one runtime with one model.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.errors import ProofError, RuntimeBackendError, VedetteError
from vedette_edge.machine import cores, peak_resident_bytes, this_machine
from vedette_edge.manifest import Measured, Variant
from vedette_edge.preprocess import to_tensor
from vedette_edge.proof import open_proved
from vedette_edge.runtimes import Session, StreamingSession, placements
from vedette_edge.types import FloatArray

__all__ = ["REFUSED", "golden_clips", "main", "measure"]

REFUSED = 3  # exit code: the variant cannot be used here, the reason is on standard error

_WARM_UP, _LEAST, _MOST = 3, 20, 2000  # calls


def measure(
    session: Session | StreamingSession,
    clips: Sequence[FloatArray],
    *,
    threads: int = 0,
    seconds: float = 1.0,
) -> Measured:
    """Time calls of a loaded model, one after the other: of a clip, or of a frame of a stream.

    Args:
        session: the loaded model.
        clips: what it is given in turn, (1, C, T, H, W) float32 each; a stream gets their frames.
        threads: those that the session was opened with; 0: the runtime's choice.
        seconds: how long to go on, but for 20 calls at least.
    """
    call = _calls(session, clips)
    for _ in range(_WARM_UP):
        call()
    times: list[float] = []
    began = now = time.perf_counter()
    while len(times) < _LEAST or (now - began < seconds and len(times) < _MOST):
        before = now
        call()
        now = time.perf_counter()
        times.append(1000 * (now - before))
    p50, p95 = np.percentile(times, (50, 95))
    return Measured(
        machine=str(this_machine()),
        threads=threads or cores(),
        p50_ms=round(float(p50), 3),
        p95_ms=round(float(p95), 3),
        peak_rss_bytes=peak_resident_bytes(),
        per_second=round(len(times) / (now - began), 3),
    )


def golden_clips(bundle: Bundle) -> list[FloatArray]:
    """Return the golden inputs of a bundle as a model takes them, (1, C, T, H, W) float32 each.

    Raises:
        BundleError: when they are missing or changed.
    """
    inputs = bundle.read_array(bundle.manifest.golden.inputs).astype(np.uint8)
    return [to_tensor(list(frames), bundle.manifest.input) for frames in inputs]


def _calls(session: Session | StreamingSession, clips: Sequence[FloatArray]) -> Callable[[], object]:
    if not isinstance(session, StreamingSession):
        turns = itertools.cycle(clips)
        return lambda: session.run(next(turns))
    stream = session.open_stream()
    frames = itertools.cycle([clip[:, :, [index]] for clip in clips for index in range(clip.shape[2])])
    return lambda: stream.push(next(frames))


def _open(bundle: Bundle, variant: Variant, threads: int) -> Session | StreamingSession:
    """Load a variant on the first of its placements on which it proves itself, as the agent does."""
    *accelerated, last = placements(variant)
    for providers in accelerated:
        with contextlib.suppress(RuntimeBackendError, ProofError):
            return open_proved(bundle, variant, threads=threads, providers=providers).session
    return open_proved(bundle, variant, threads=threads, providers=last).session


def main(arguments: Sequence[str]) -> int:
    """Measure a variant on the golden inputs of its bundle; return the exit code."""
    directory, name, threads, seconds = arguments
    try:
        bundle = open_bundle(Path(directory))
        variant = bundle.variant(name)
        session = _open(bundle, variant, int(threads))
        clips = golden_clips(bundle)
    except VedetteError as error:
        print(error, file=sys.stderr)
        return REFUSED
    found = measure(session, clips, threads=int(threads), seconds=float(seconds))
    print(found.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
