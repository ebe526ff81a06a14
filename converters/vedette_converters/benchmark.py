"""Measures the variants of a bundle on this machine, once: the answer is kept for the next who asks."""

from __future__ import annotations

from rich.markup import escape

from vedette_edge.benchmark import Benchmark, keep, kept, run_benchmark, stores
from vedette_edge.bundle import Bundle
from vedette_train.console import make_progress

__all__ = ["benchmark_here"]


def benchmark_here(bundle: Bundle, *, threads: int = 0, again: bool = False) -> Benchmark:
    """Return what the variants of a bundle cost on this machine, and keep it; show how far it is.

    Args:
        bundle: opened.
        threads: of one call; 0 leaves the choice to the runtime.
        again: measure, even where an answer was kept.
    """
    known = None if again else kept(stores(), bundle, threads)
    if known:
        return known
    with make_progress() as display:
        task = display.add_task("benchmark", total=None)

        def tell(name: str, number: int, total: int) -> None:
            display.update(task, description=f"benchmark {escape(name)}", completed=number - 1, total=total)

        found = run_benchmark(bundle, threads=threads, on_progress=tell)
    keep(found, stores()[0])
    return found
