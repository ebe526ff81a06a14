"""Does the flow branch earn its cost? A recipe with picture and flow and with either alone, cross-validated.

A network that takes any number of channels is built anew for the stream that is left, so that it really
becomes smaller. One that is made for both streams sees a blank in place of the missing one (`data.blind`), in
training and in judging: then its parameters, multiplications and time stay those of the whole; `how` says so.
Finished folds are kept, so an interrupted ablation goes on where it was.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vedette_edge.errors import ConfigError
from vedette_edge.files import write_atomically
from vedette_train.compare import Comparison, compare
from vedette_train.console import log
from vedette_train.costs import Cost, machine, measure_costs
from vedette_train.crossval import cross_validate
from vedette_train.metrics import Interval
from vedette_train.models import create_for_input
from vedette_train.plots import plot_bars
from vedette_train.predictions import read_predictions
from vedette_train.recipe import Recipe
from vedette_train.runs import PREDICTIONS_FILE

__all__ = ["Outcome", "ablate", "run_variants", "variants", "verdict", "write_ablation"]

WHOLE = "rgb+flow"
_COLUMNS = (
    *("streams", "how", "accuracy", "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high"),
    *("p_against_whole", "parameters", "gmacs", "network_ms", "flow_ms"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One variant.

    Attributes:
        how: what was done to the network.
        accuracy: pooled over all folds.
        auc: pooled over all folds; None where it is not defined.
        cost: of a clip.
        against_whole: this variant first, the whole second; None for the whole itself.
    """

    how: str
    accuracy: Interval
    auc: Interval | None
    cost: Cost
    against_whole: Comparison | None


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe and its two halves, by the streams that they see.

    Raises:
        ConfigError: when the recipe does not see both streams, or is blind to one already.
    """
    if recipe.data.input.streams != WHOLE or recipe.data.blind:
        raise ConfigError(
            f"recipe '{recipe.name}' sees {recipe.data.input.streams}: an ablation needs data.input.streams: "
            f"{WHOLE} and no data.blind"
        )
    return {WHOLE: recipe, "rgb": _half(recipe, "rgb"), "flow": _half(recipe, "flow")}


def _half(recipe: Recipe, stream: Literal["rgb", "flow"]) -> Recipe:
    changes: dict[str, Any] = {"streams": stream} | ({"flow": None} if stream == "rgb" else {})
    spec = recipe.data.input.model_copy(update=changes)
    try:
        create_for_input(recipe.model.name, 2, spec, **recipe.model.arguments)
    except ValueError:  # made for both streams
        update: dict[str, Any] = {"blind": "flow" if stream == "rgb" else "rgb"}
    else:
        update = {"input": spec}
    data = recipe.data.model_copy(update=update)
    return recipe.model_copy(update={"name": f"{recipe.name}-{stream}", "data": data})


def ablate(recipe: Recipe, data: Path, out: Path, *, cache: Path | None = None) -> dict[str, Outcome]:
    """Train and judge the recipe and its halves, and write what came of it.

    Args:
        recipe: sees both streams; its `data.fold` is ignored.
        data: folder of classes.
        out: gets a cross-validation for each variant, ablation.json, ablation.csv and ablation.png.
        cache: folder for decoded frames.

    Returns:
        The outcome of each variant, the whole first.

    Raises:
        ConfigError: when the recipe does not see both streams, or a fold was started with another recipe.
        DataError: as `fit`.
    """
    found = run_variants(variants(recipe), data, out, cache=cache)
    write_ablation(out, found)
    return found


def run_variants(
    recipes: Mapping[str, Recipe], data: Path, out: Path, *, cache: Path | None = None
) -> dict[str, Outcome]:
    """Cross-validate each recipe and compare it with the first, on the same folds.

    Raises:
        ConfigError: as `ablate`.
        DataError: as `fit`.
    """
    metrics: dict[str, dict[str, Any]] = {}
    for name, recipe in recipes.items():
        log(f"ablation: {name}", style="bold")
        metrics[name] = cross_validate(recipe, data, out / name, cache=cache)
    whole = next(iter(recipes))
    labels, of_whole = read_predictions(out / whole / PREDICTIONS_FILE)
    costs = measure_costs(recipes, len(labels), data / of_whole[0].sample.name)
    found = {}
    for name, recipe in recipes.items():
        against = None
        if name != whole:
            _, predictions = read_predictions(out / name / PREDICTIONS_FILE)
            against = compare(predictions, of_whole, labels, metrics[whole]["positive"])
        found[name] = Outcome(
            f"{recipe.data.blind} blanked" if recipe.data.blind else "network of its own",
            Interval(**metrics[name]["accuracy"]),
            Interval(**metrics[name]["auc"]) if "auc" in metrics[name] else None,
            costs[name],
            against,
        )
    return found


def verdict(found: Mapping[str, Outcome]) -> str:
    """Say in plain words whether flow beside the picture is worth what it costs."""
    whole, rgb, flow = found[WHOLE], found["rgb"], found["flow"]
    assert rgb.against_whole is not None
    assert flow.against_whole is not None
    price = (
        f"it takes {whole.cost.total_ms:.1f} ms a clip ({whole.cost.flow_ms:.1f} of them for the flow "
        f"itself) instead of {rgb.cost.total_ms:.1f} ms"
    )
    beginning = {
        0: f"There is no evidence that the flow branch earns its cost beside the picture: {price}.",
        1: f"The flow branch makes the network worse, and {price}.",
        2: f"The flow branch makes the network better, and {price}.",
    }
    sentences = [
        beginning[rgb.against_whole.better],
        rgb.against_whole.sentence("rgb", WHOLE),
        flow.against_whole.sentence("flow", WHOLE),
    ]
    if flow.against_whole.better == 1:
        sentences.append("So it is the picture that should go, not the flow.")
    return " ".join(sentences)


def write_ablation(out: Path, found: Mapping[str, Outcome]) -> None:
    """Write ablation.json, ablation.csv and ablation.png."""
    content = {
        "verdict": verdict(found),
        "machine": machine(),
        "variants": {
            name: asdict(outcome)
            | {"against_whole": outcome.against_whole.to_dict() if outcome.against_whole else None}
            for name, outcome in found.items()
        },
    }
    write_atomically(out / "ablation.json", (json.dumps(content, indent=2) + "\n").encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, one in found.items():
        auc = ("", "", "") if one.auc is None else _numbers(one.auc)
        p = f"{one.against_whole.mcnemar.p:.4g}" if one.against_whole else ""
        cost = (
            one.cost.parameters,
            *(f"{v:.3f}" for v in (one.cost.gmacs, one.cost.network_ms, one.cost.flow_ms)),
        )
        writer.writerow((name, one.how, *_numbers(one.accuracy), *auc, p, *cost))
    write_atomically(out / "ablation.csv", text.getvalue().encode())
    bars = {f"{name}, {one.cost.total_ms:.0f} ms a clip": one.accuracy for name, one in found.items()}
    plot_bars(bars, "accuracy", out / "ablation.png")


def _numbers(figure: Interval) -> tuple[str, ...]:
    return tuple(f"{value:.4f}" for value in (figure.value, figure.low, figure.high))
