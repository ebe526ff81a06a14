"""Every verdict as a line of JSON, for people who tune and for tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from vedette_edge.engine import Model
from vedette_edge.errors import ConfigError, DataError
from vedette_edge.judges import Verdict

__all__ = ["score_log"]


@contextlib.contextmanager
def score_log(path: Path) -> Iterator[Callable[[str, Model, Verdict], None]]:
    """Give what writes the verdict of (camera, model) to a file.

    Raises:
        ConfigError: when the file cannot be written.
        DataError: from what is given, when a line cannot be written.
    """

    def write(camera: str, model: Model, verdict: Verdict) -> None:
        scores = zip(model.manifest.labels, verdict.probabilities, strict=True)
        line = {
            "camera": camera,
            "model": model.name,
            "start": round(verdict.start, 6),
            "end": round(verdict.end, 6),
            "middle": round(verdict.middle, 6),
            "probabilities": {label.name: round(float(value), 6) for label, value in scores},
        }
        try:
            file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise DataError(f"{path}: cannot write the scores ({error.strerror})") from error

    try:
        # Unbuffered: each line is there as soon as its window was judged, for `tail -f`.
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise ConfigError(f"{path}: cannot write the scores there ({error.strerror})") from error
    with file:
        yield write
