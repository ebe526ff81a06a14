"""Does a candidate work here? Tried in a process of its own, before anything is switched.

`probe` starts it, gives it a deadline, and kills it with all that it has started. It opens the bundle as
the agent would, reproduces its golden samples, and measures what a call costs. It writes nothing, dies with
whoever started it, and is the first to go where memory runs out. Nothing that it does, or leaves undone, is
worse than a sentence that says why the candidate is refused.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.benchmark import kept, stores
from vedette_edge.bundle import open_bundle
from vedette_edge.choice import Choice, candidates, placed
from vedette_edge.config.models import AUTO, Mode, ModelConfig
from vedette_edge.errors import UpdateError, VedetteError
from vedette_edge.lifetime import die_with_parent
from vedette_edge.machine import cores
from vedette_edge.manifest import Measured
from vedette_edge.measure import REFUSED, golden_clips, measure
from vedette_edge.ota.release import Budget
from vedette_edge.runtimes import Provider

__all__ = ["PATIENCE", "Figures", "Job", "judge", "main", "probe"]

PATIENCE = 300.0
"""Seconds that a probe may take."""

_log = logging.getLogger(__name__)

_ROUNDS = 3  # of measuring: what runs beside it may disturb one
_SPARE_BYTES = 2**30  # stacks and arenas that are reserved, and not used
_MOST_FILE = 16 * 2**20  # bytes; what it prints goes to files
_LAST_WORDS = 4096  # bytes
_MOST_WORDS = 500  # characters of a sentence
_MIB = 2**20
_TO_DIE = 5.0  # seconds that the kernel may take to end a killed process
_ENVIRONMENT = {"PYTHONSAFEPATH": "1"}  # nothing is imported from the working directory


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Job(_Part):
    """What the process is told: which bundle, how the agent would open it, and what it may use."""

    parent: int = Field(description="Process id of whoever starts it.")
    bundle: Path
    state_dir: Path = Field(description="The agent's, with what it has measured.")
    variant: str = AUTO
    mode: Mode = AUTO
    threads: int = 0
    providers: tuple[Provider, ...] | None = None
    p95_ms: float | None = Field(default=None, description="That a call may take.")
    most_data: int = Field(description="Bytes of private memory; no bound where an accelerator is used.")
    most_cpu: int = Field(description="Seconds of all its threads together.")


class Figures(_Part):
    """What the process found."""

    variant: str = Field(description="And the accelerator, if it uses one.")
    p95_ms: float = Field(ge=0, description="Of a call, in the best of three rounds.")
    peak_rss_bytes: int = Field(ge=0)


def probe(
    bundle: Path,
    model: ModelConfig,
    budget: Budget,
    *,
    state_dir: Path,
    patience: float = PATIENCE,
    python: str = sys.executable,
) -> Figures:
    """Try a bundle in a process of its own; return what it costs.

    Args:
        bundle: its directory.
        model: how the agent would open it; its own `bundle` is not looked at.
        budget: what it may cost.
        state_dir: the agent's.
        patience: seconds after which it is killed.
        python: the interpreter to start.

    Raises:
        UpdateError: when it crashes, hangs, misses its golden samples, or costs more than the budget.
        OSError: when no process can be started; that says nothing of the bundle.
    """
    job = Job(
        parent=os.getpid(),
        bundle=bundle,
        state_dir=state_dir,
        variant=model.variant,
        mode=model.mode,
        threads=model.threads,
        providers=model.providers,
        p95_ms=budget.p95_ms,
        most_data=_most_data(budget.peak_rss_bytes),
        most_cpu=int(patience * cores()) + 1,
    )
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        code = _run(job, python, patience, output, errors)
        return judge(code, _last_line(output), _last_line(errors), budget, patience)


def judge(code: int | None, output: str, errors: str, budget: Budget, patience: float) -> Figures:
    """Return what the process found.

    Args:
        code: its exit code, negative for a signal; None: it had to be killed.
        output: the last line that it printed.
        errors: the last line on its standard error.
        budget: what the bundle may cost.
        patience: seconds that it had.

    Raises:
        UpdateError: when it found nothing, or more than the budget.
    """
    if code is None:
        raise UpdateError(f"its probe hangs: it was not done within {patience:g} s")
    if code == REFUSED:
        raise UpdateError(f"its probe fails: {errors or 'it said nothing'}")
    if code < 0:
        raise UpdateError(f"its probe crashes: the process died of {_signal_name(-code)}")
    if code > 0:
        raise UpdateError(f"its probe crashes: the process ended with code {code}: {errors or 'no word'}")
    try:
        found = Figures.model_validate_json(output)
    except ValidationError:
        raise UpdateError("its probe fails: the process ended without saying what it found") from None
    if budget.p95_ms is not None and found.p95_ms > budget.p95_ms:
        raise UpdateError(
            f"it is too slow here: a call of '{found.variant}' takes {found.p95_ms:g} ms (p95), "
            f"the release allows {budget.p95_ms:g} ms"
        )
    if budget.peak_rss_bytes is not None and found.peak_rss_bytes > budget.peak_rss_bytes:
        raise UpdateError(
            f"it is too large here: '{found.variant}' takes {found.peak_rss_bytes / _MIB:.0f} MiB of memory, "
            f"the release allows {budget.peak_rss_bytes / _MIB:.0f} MiB"
        )
    return found


def _run(job: Job, python: str, patience: float, output: IO[bytes], errors: IO[bytes]) -> int | None:
    """Run the process; return its exit code, or None where it had to be killed."""
    process = subprocess.Popen(
        [python, "-m", "vedette_edge.ota.probe"],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        env=os.environ | _ENVIRONMENT,
        start_new_session=True,  # a group of its own, to be killed with what it starts
    )
    try:
        process.communicate(job.model_dump_json().encode(), timeout=patience)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _kill(process)
    return process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_TO_DIE)
    except subprocess.TimeoutExpired:
        _log.warning("the probe, process %d, hangs in the kernel and cannot be killed", process.pid)


def _most_data(peak: int | None) -> int:
    """Return how much private memory the process may have: enough for it to be measured, and to say so."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (machine if peak is None else min(2 * peak, machine)) + _SPARE_BYTES


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS))
    line = (file.read().decode(errors="replace").strip().splitlines() or [""])[-1]
    return line[-_MOST_WORDS:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main(document: bytes) -> int:
    """Do a job, in the process that it is for; return the exit code."""
    job = Job.model_validate_json(document)
    die_with_parent(job.parent)
    _restrict(job.most_cpu)
    try:
        found = _try(job)
    except MemoryError:
        print(f"it takes more than {job.most_data / _MIB:.0f} MiB of memory", file=sys.stderr)
        return REFUSED
    except VedetteError as error:
        print(error, file=sys.stderr)
        return REFUSED
    print(found.model_dump_json(), flush=True)
    return 0


def _restrict(most_cpu: int) -> None:
    """Bound what this process may use, and let it be the first that goes."""
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, _MOST_FILE)
    _bound(resource.RLIMIT_CPU, most_cpu)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _bound(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    # With the hard limit as it was, a signal tells which bound was met.
    resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _try(job: Job) -> Figures:
    """Open the bundle as the agent would, have it prove itself, and measure it.

    Raises:
        VedetteError: when no variant works here.
    """
    bundle = open_bundle(job.bundle)
    benchmark = kept(stores(job.state_dir), bundle, job.threads)
    measured = benchmark.measured if benchmark else {}
    variants = candidates(bundle, job.variant, measured, mode=job.mode)
    tried = placed(variants, job.providers)
    if all(candidate.providers[0] == "cpu" for candidate in tried):
        # Libraries of accelerators reserve far more than they use.
        _bound(resource.RLIMIT_DATA, job.most_data)
    candidate, proved = Choice(bundle, tried, threads=job.threads, named=job.variant != AUTO).next()
    clips = golden_clips(bundle)
    rounds: list[Measured] = []
    while len(rounds) < _ROUNDS and not any(_is_quick(found, job.p95_ms) for found in rounds):
        rounds.append(measure(proved.session, clips, threads=job.threads))
    best = min(found.p95_ms for found in rounds)
    return Figures(variant=candidate.name, p95_ms=best, peak_rss_bytes=rounds[-1].peak_rss_bytes)


def _is_quick(found: Measured, p95_ms: float | None) -> bool:
    return p95_ms is None or found.p95_ms <= p95_ms


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer.read()))
