"""What do the variants of a bundle cost here? Measures each, and keeps the answer.

Each variant is measured in a process of its own. The answer is kept as one JSON file for this bundle on this
machine with these runtimes; where any of them changes, there is no answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.bundle import Bundle
from vedette_edge.files import write_atomically
from vedette_edge.machine import Machine, this_machine
from vedette_edge.manifest import Measured
from vedette_edge.measure import REFUSED

__all__ = ["Benchmark", "keep", "kept", "run_benchmark", "stores"]

_PATIENCE = 600.0  # seconds for one variant


class Benchmark(BaseModel):
    """What the variants of a bundle cost on a machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    bundle: str = Field(description="SHA-256 of its manifest.")
    machine: Machine
    measured: dict[str, Measured] = Field(description="By the variant's name.")
    refused: dict[str, str] = Field(description="Why a variant cannot be used here, by its name.")


def run_benchmark(
    bundle: Bundle,
    *,
    threads: int = 0,
    seconds: float = 1.0,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Benchmark:
    """Measure every variant of a bundle; one that does not load, or misses its golden outputs, is refused.

    Args:
        bundle: with files as they lie on the disk.
        threads: of one call; 0 leaves the choice to the runtime.
        seconds: to measure each variant for, see `measure`.
        on_progress: called with the variant's name, its number from 1, and how many there are.
    """
    measured: dict[str, Measured] = {}
    refused: dict[str, str] = {}
    variants = bundle.manifest.variants
    for number, variant in enumerate(variants, 1):
        if on_progress:
            on_progress(variant.name, number, len(variants))
        found = _measure_apart(bundle.directory, variant.name, threads, seconds)
        if isinstance(found, Measured):
            measured[variant.name] = found
        else:
            refused[variant.name] = found
    return Benchmark(bundle=bundle.digest, machine=this_machine(threads), measured=measured, refused=refused)


def _measure_apart(directory: Path, name: str, threads: int, seconds: float) -> Measured | str:
    """Measure a variant in a process of its own; return why it cannot be used where that is so."""
    arguments = [str(directory), name, str(threads), str(seconds)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vedette_edge.measure", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not measured within {_PATIENCE:g} s"
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if done.returncode == REFUSED:
        return last
    if done.returncode != 0:
        return f"its process ended with code {done.returncode}: {last}"
    return Measured.model_validate_json(done.stdout.splitlines()[-1])


def stores(state_dir: Path | None = None) -> list[Path]:
    """Return the directories in which benchmarks are kept: the agent's, where given, and the user's."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    user = Path(cache) / "vedette" / "benchmarks"
    return [user] if state_dir is None else [state_dir / "benchmarks", user]


def kept(directories: Sequence[Path], bundle: Bundle, threads: int = 0) -> Benchmark | None:
    """Return the benchmark of a bundle on this machine, from the first directory that has it.

    A file that cannot be read, or does not follow the schema, is passed over: it can be measured again.
    """
    machine = this_machine(threads)
    for directory in directories:
        try:
            text = _path(directory, bundle.digest, machine).read_text(encoding="utf-8")
            found = Benchmark.model_validate_json(text)
        except (OSError, UnicodeDecodeError, ValidationError):
            continue
        if (found.bundle, found.machine) == (bundle.digest, machine):
            return found
    return None


def keep(benchmark: Benchmark, directory: Path) -> Path:
    """Write a benchmark where `kept` finds it; return the file.

    Raises:
        OSError: when it cannot be written.
    """
    path = _path(directory, benchmark.bundle, benchmark.machine)
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(path, benchmark.model_dump_json(indent=2).encode() + b"\n")
    return path


def _path(directory: Path, digest: str, machine: Machine) -> Path:
    return directory / f"{digest[:16]}-{machine.fingerprint[:16]}.json"
