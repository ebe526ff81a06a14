"""The steps of an optimisation as they are: prune and train on, convert, measure on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vedette_converters.benchmark import benchmark_here
from vedette_converters.convert import convert
from vedette_converters.optimise import Steps
from vedette_converters.plan import BOUNDS, Plan
from vedette_converters.trials import Search
from vedette_edge.bundle import open_bundle
from vedette_edge.manifest import Measured
from vedette_train.console import steps
from vedette_train.runs import METRICS_FILE
from vedette_train.slim.rerun import slim_run
from vedette_train.slim.settings import SlimSettings

__all__ = ["real_steps"]

# Vector instructions take eight channels at a time.
_ROUND_TO = 8


def real_steps(run: Path, search: Search, data: Path | None) -> Steps:
    """Return the steps for a run.

    Args:
        run: the dense one.
        search: what is searched.
        data: the run's dataset, where it moved.
    """
    plan = Plan(search.runtimes, search.precisions, search.modes)
    bounds = BOUNDS.model_copy(update={"max_drop": search.max_drop})

    def prune(ratio: float, out: Path) -> None:
        if (out / METRICS_FILE).is_file():  # written last
            return
        settings = SlimSettings(ratio=ratio, max_ratio=max(0.9, ratio), round_to=_ROUND_TO)
        resume = out.is_dir() and any(out.iterdir())
        slim_run(run, out, settings, epochs=search.epochs, data=data, resume=resume)

    def to_bundle(source: Path, out: Path) -> None:
        with steps("open the run") as on_step:
            convert(source, out, plan=plan, bounds=bounds, data=data, on_step=on_step)

    def benchmark(bundle: Path) -> Mapping[str, Measured]:
        return benchmark_here(open_bundle(bundle), threads=search.threads).measured

    return Steps(prune, to_bundle, benchmark)
