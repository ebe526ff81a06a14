"""Searches the network that keeps a budget: prunes, converts and measures, then chooses.

Each pruning ratio is a trial: a run with fewer channels, trained on, then a bundle of all precisions,
runtimes and modes, then a benchmark on this machine. Everything lies in one folder, and an interrupted search
goes on where it was: with the next epoch, the next bundle, the next trial.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vedette_converters.bundle import new_bundle
from vedette_converters.charts import draw_front
from vedette_converters.figures import megabytes
from vedette_converters.pareto import Budget, Candidate, front, nearest, recommend
from vedette_converters.trials import Search, Trial, add_trial, claim, read_trials
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import BundleError, ProofError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import Manifest, Measured
from vedette_train.console import log

__all__ = ["Outcome", "Steps", "choose", "optimise", "write_outcome"]


@dataclass(frozen=True, slots=True)
class Steps:
    """What takes long.

    Attributes:
        prune: makes a run with a share of the channels less in a folder, or goes on with what lies there.
        convert: makes a bundle of a run; all of it or nothing.
        benchmark: returns what the variants of a bundle cost on this machine, by name.
    """

    prune: Callable[[float, Path], None]
    convert: Callable[[Path, Path], None]
    benchmark: Callable[[Path], Mapping[str, Measured]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to.

    Attributes:
        reference: accuracy of the dense network in PyTorch.
        budget: what was asked for.
        candidates: all of them.
        front: those that no other one dominates, the fastest first.
        recommended: the fastest that keeps the budget; None where none does.
        nearest: the recommended one, or the one that misses least.
    """

    reference: float
    budget: Budget
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    recommended: Candidate | None
    nearest: Candidate

    @property
    def missed(self) -> list[str]:
        """Which bounds the nearest one misses and by how much, a phrase each."""
        return self.budget.missed(self.nearest, self.reference)


def optimise(run: Path, out: Path, search: Search, steps: Steps) -> list[Trial]:
    """Do the trials that are not done yet; return all.

    Args:
        run: the dense one.
        out: gets runs, bundles and the trials; new, empty, or of the same search.
        search: what to try.
        steps: how.

    Raises:
        UsageError: when `out` holds something else, or another search.
        ProofError: when the dense network itself cannot be converted.
        VedetteError: as the steps; what is done is kept.
    """
    claim(out, search)
    done = {trial.ratio: trial for trial in read_trials(out)}
    for number, ratio in enumerate(search.ratios, start=1):
        if ratio in done:
            continue
        log(f"{number} of {len(search.ratios)}: {ratio:.0%} of the channels removed", style="bold")
        done[ratio] = _try(run, out, ratio, steps)
        add_trial(out, done[ratio])
    return [done[ratio] for ratio in search.ratios]


def choose(trials: Sequence[Trial], budget: Budget) -> Outcome:
    """Choose among the candidates of all trials.

    Args:
        trials: the dense network's first.
        budget: what a candidate may cost.

    Raises:
        ProofError: when the bundles have no variant with an accuracy.
    """
    candidates = tuple(one for trial in trials for one in trial.candidates)
    reference = trials[0].reference
    if reference is None or not candidates:
        raise ProofError("no variant has an accuracy in its proof, so there is nothing to choose by")
    recommended = recommend(candidates, budget, reference)
    return Outcome(
        reference,
        budget,
        candidates,
        tuple(front(candidates)),
        recommended,
        recommended or nearest(candidates, budget, reference),
    )


def write_outcome(out: Path, outcome: Outcome, trials: Sequence[Trial]) -> None:
    """Write optimise.json, optimise.png and, where one is recommended, it alone as a bundle in `best`.

    Args:
        out: the search's folder; what an earlier budget chose is replaced.
        outcome: from `choose`.
        trials: those it was chosen from.

    Raises:
        BundleError: when a file of the bundle is missing or was changed.
    """
    best = out / "best"
    if best.exists():
        shutil.rmtree(best)
    if outcome.recommended:
        _write_best(_bundle(out, outcome.recommended.ratio), outcome.recommended, best)
    content = {
        "reference_accuracy": outcome.reference,
        "budget": asdict(outcome.budget),
        "recommended": asdict(outcome.recommended) if outcome.recommended else None,
        "nearest": asdict(outcome.nearest),
        "missed": outcome.missed,
        "front": [asdict(one) for one in outcome.front],
        "candidates": [asdict(one) for one in outcome.candidates],
        "failed": {f"{trial.ratio:g}": trial.failed for trial in trials if trial.failed},
    }
    write_atomically(
        out / "optimise.png",
        draw_front(outcome.candidates, outcome.front, outcome.recommended, outcome.budget, outcome.reference),
    )
    write_atomically(out / "optimise.json", (json.dumps(content, indent=2) + "\n").encode())


def _try(run: Path, out: Path, ratio: float, steps: Steps) -> Trial:
    slim, bundle = out / "runs" / _name(ratio) if ratio else run, _bundle(out, ratio)
    if ratio:
        steps.prune(ratio, slim)
    try:
        if not bundle.exists():
            steps.convert(slim, bundle)
    except BundleError as error:
        if not ratio:
            raise
        log(f"no bundle: {error}", style="yellow")
        return Trial(ratio=ratio, reference=None, failed=str(error))
    manifest, measured = open_bundle(bundle).manifest, steps.benchmark(bundle)
    return Trial(
        ratio=ratio, reference=_reference(manifest), candidates=_candidates(manifest, ratio, measured)
    )


def _reference(manifest: Manifest) -> float | None:
    """Return the accuracy of the network in PyTorch, on the samples of the proof."""
    proofs = [one.proof for one in manifest.variants if one.proof.accuracy]
    return next((proof.accuracy.value + (proof.drop or 0.0) for proof in proofs if proof.accuracy), None)


def _candidates(manifest: Manifest, ratio: float, measured: Mapping[str, Measured]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(ratio, one.name, one.proof.accuracy.value, measured[one.name].p50_ms, megabytes(one))
        for one in manifest.variants
        if one.proof.accuracy and one.name in measured
    )


def _write_best(source: Path, chosen: Candidate, best: Path) -> None:
    """Write the chosen variant and the golden samples as a bundle of their own."""
    bundle = open_bundle(source)
    variant, golden = bundle.variant(chosen.variant), bundle.manifest.golden
    with new_bundle(best) as writer:
        for entry in (*variant.files, golden.inputs, golden.logits, golden.heatmap):
            writer.add(entry.path, bundle.read(entry))
        writer.finish(bundle.manifest.model_copy(update={"variants": (variant,)}))


def _bundle(out: Path, ratio: float) -> Path:
    return out / "bundles" / _name(ratio)


def _name(ratio: float) -> str:
    return f"ratio-{ratio:g}"
