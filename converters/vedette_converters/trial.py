"""Runs a model once in a process of its own: a runtime that dies of it must not take the conversion with it.

As a program, `python -m vedette_converters.trial FOLDER` loads and runs what `survive` has put there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vedette_edge.errors import RuntimeBackendError, VedetteError
from vedette_edge.manifest import StateTensor, Variant
from vedette_edge.runtimes import StreamingSession, load
from vedette_edge.types import FloatArray

if TYPE_CHECKING:  # of the targets come libraries that take seconds to import, and a trial needs none
    from vedette_converters.targets import Model

__all__ = ["main", "survive"]

_PATIENCE = 300.0  # seconds
_REFUSED = 3  # exit code: the runtime said why


def survive(model: Model, draft: Variant, clip: FloatArray) -> None:
    """Load and run a model elsewhere.

    Args:
        model: what was written.
        draft: its runtime, precision, mode and state.
        clip: (1, C, T, H, W) float32; a stream gets its first frame.

    Raises:
        RuntimeBackendError: when the runtime refuses it, dies, or does not end.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-trial-") as name:
        folder = Path(name)
        for number, data in enumerate(model.contents):
            (folder / f"{number}.model").write_bytes(data)
        np.save(folder / "clip.npy", clip if draft.mode == "clip" else clip[:, :, :1])
        fields = {"runtime": draft.runtime, "precision": draft.precision, "mode": draft.mode}
        state = [tensor.model_dump() for tensor in draft.state]
        (folder / "draft.json").write_text(json.dumps({**fields, "state": state}))
        _check(draft.runtime, [sys.executable, "-m", "vedette_converters.trial", name])


def _check(runtime: str, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeBackendError(
            f"{runtime} did not end within {_PATIENCE:g} s; choose another precision or runtime"
        ) from error
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode == _REFUSED:
        raise RuntimeBackendError(last)
    if done.returncode:
        raise RuntimeBackendError(
            f"{runtime} dies of this model (code {done.returncode}: {last}); choose another precision or "
            "runtime"
        )


def main(folder: Path) -> int:
    """Load and run the model that lies in a folder; return the exit code."""
    fields = json.loads((folder / "draft.json").read_text())
    fields["state"] = tuple(
        StateTensor(**{**tensor, "shape": tuple(tensor["shape"])}) for tensor in fields["state"]
    )
    draft = Variant.model_construct(name="trial", files=(), **fields)
    files = [path.read_bytes() for path in sorted(folder.glob("*.model"))]
    try:
        session, clip = load(files, draft), np.load(folder / "clip.npy")
        if isinstance(session, StreamingSession):
            session.open_stream().push(clip)
        else:
            session.run(clip)
    except VedetteError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
