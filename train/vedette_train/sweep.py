"""Looks for good settings: trains a recipe again and again, and lets Optuna choose what to try next.

A trial is a run. It is judged by the metric that the recipe monitors, on the validation part alone: the
test part is for the one recipe that is left. Machines that share a storage share one study; an
interrupted sweep goes on with the trials that it has.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_train.console import log
from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.order import seed_of
from vedette_train.plots import plot_importances, plot_trials
from vedette_train.prune import first_complete_epoch
from vedette_train.recipe import Recipe
from vedette_train.schedule import mode_of
from vedette_train.search_space import SearchSpace, varied

__all__ = ["sweep"]

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_LABEL = "vedette"


def sweep(
    recipe: Recipe,
    data: Path,
    space: SearchSpace,
    out: Path,
    *,
    trials: int,
    storage: str | None = None,
    name: str | None = None,
    timeout: float | None = None,
    cache: Path | None = None,
) -> Recipe:
    """Search until the study has `trials` trials, of all machines and all times together.

    Args:
        recipe: what stays, and what is monitored.
        data: folder of classes.
        space: what varies.
        out: gets best.yaml, trials.csv, pictures, and a run for each trial.
        trials: how many, those that failed or were stopped included.
        storage: where machines meet: `journal:FILE`, or a database URL; by default a journal in `out`.
        name: of the study in the storage; by default the recipe's.
        timeout: seconds after which no new trial begins.
        cache: folder for decoded frames.

    Returns:
        The best recipe.

    Raises:
        UsageError: when the storage cannot be opened.
        ConfigError: when there is no validation part, or the study was begun with other settings.
        DataError: when no trial succeeded.
    """
    if not recipe.data.val_share and not recipe.data.split_file:
        raise ConfigError("a sweep chooses by the validation part: data.val_share must not be 0")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    study = _open_study(recipe, space, out, storage, name)

    def objective(trial: optuna.Trial) -> float:
        values = space.suggest(trial)
        log(f"trial {trial.number}: {_listing(values)}", style="bold")
        directory = out / f"trial-{trial.number:04d}"
        changed = varied(recipe, values, f"trial {trial.number}")
        train(changed, data, directory, cache=cache, callbacks=[_Intermediate(trial, changed)])
        return _score(read_history(directory)[changed.train.monitor], changed)

    if len(study.get_trials(deepcopy=False, states=_ENDED)) < trials:
        enough = optuna.study.MaxTrialsCallback(trials, states=_ENDED)
        study.optimize(
            objective, timeout=timeout, callbacks=[enough, _say], catch=(DataError, ConfigError), n_jobs=1
        )
    return _report(study, recipe, space, out)


class _TrialSeeds(optuna.samplers.BaseSampler):
    """A tree-structured Parzen estimator [Bergstra et al., 2011] whose chances depend on the trial's number.

    So two machines that begin at once do not try the same, and a sweep that goes on does not repeat itself.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number = -1
        self._sampler = optuna.samplers.TPESampler(seed=seed)

    def _of(self, trial: FrozenTrial) -> optuna.samplers.TPESampler:
        if trial.number != self._number:
            self._number = trial.number
            self._sampler = optuna.samplers.TPESampler(seed=seed_of(self._seed, trial.number))
        return self._sampler

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)


class _Intermediate(Callback):
    """Tells the study how each epoch went, and ends a trial that is worse than most were by then."""

    def __init__(self, trial: optuna.Trial, recipe: Recipe) -> None:
        self._trial = trial
        self._monitor = recipe.train.monitor
        self._first = first_complete_epoch(recipe.train.prune)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        del pl_module
        if trainer.current_epoch < self._first:
            return
        self._trial.report(float(trainer.callback_metrics[self._monitor]), trainer.current_epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def _open_study(
    recipe: Recipe, space: SearchSpace, out: Path, storage: str | None, name: str | None
) -> optuna.Study:
    place = storage or f"journal:{out / 'study.journal'}"
    # A third of the epochs before any is stopped; the published searches took 5 of 50.
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=min(5, recipe.train.epochs // 3))
    try:
        study = optuna.create_study(
            storage=_storage(place),
            study_name=name or recipe.name,
            direction="minimize" if mode_of(recipe.train.monitor) == "min" else "maximize",
            sampler=_TrialSeeds(recipe.seed),
            pruner=pruner,
            load_if_exists=True,
        )
    except (OSError, SQLAlchemyError, ModuleNotFoundError, ValueError) as error:
        raise UsageError(f"--storage {place}: cannot be opened ({error})") from error
    settings = hashlib.sha256((recipe.to_yaml() + space.model_dump_json()).encode()).hexdigest()
    if study.user_attrs.get(_LABEL, settings) != settings:
        raise ConfigError(
            f"the study '{study.study_name}' in {place} was begun with another recipe or search space; "
            "choose another --study, or go on with those"
        )
    study.set_user_attr(_LABEL, settings)
    return study


def _storage(place: str) -> str | optuna.storages.BaseStorage:
    kind, _, path = place.partition(":")
    return optuna.storages.JournalStorage(JournalFileBackend(path)) if kind == "journal" else place


def _score(figures: Sequence[float], recipe: Recipe) -> float:
    """Return the figure of the epoch that the run keeps."""
    if recipe.train.keep == "last":
        return figures[-1]
    best = min if mode_of(recipe.train.monitor) == "min" else max
    return best(figures[first_complete_epoch(recipe.train.prune) :])


def _say(study: optuna.Study, trial: FrozenTrial) -> None:
    if trial.state is TrialState.COMPLETE:
        log(f"trial {trial.number}: {trial.value:.4f}; best so far {study.best_value:.4f}")
    else:
        reason = "worse than most" if trial.state is TrialState.PRUNED else "failed"
        log(f"trial {trial.number}: stopped, {reason}", style="yellow")


def _report(study: optuna.Study, recipe: Recipe, space: SearchSpace, out: Path) -> Recipe:
    trials = study.get_trials(deepcopy=False)
    _write_table(out / "trials.csv", trials, list(space.parameters))
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if not done:
        raise DataError(f"none of {len(trials)} trials succeeded; see {out / 'trials.csv'}")
    best = study.best_trial
    found = varied(recipe, best.params, f"trial {best.number}")
    write_atomically(out / "best.yaml", found.to_yaml().encode())
    monitor = recipe.train.monitor
    plot_trials(
        [trial.number for trial in done],
        [float(trial.value or 0.0) for trial in done],
        monitor,
        out / "trials.png",
        rising=mode_of(monitor) == "max",
    )
    if len(done) > 1 and len({trial.value for trial in done}) > 1:
        plot_importances(optuna.importance.get_param_importances(study), monitor, out / "importances.png")
    log(
        f"best of {len(trials)} trials: {monitor} {best.value:.4f}, trial {best.number} "
        f"({_listing(best.params)}); train it with  vedette-train fit {out / 'best.yaml'}"
    )
    return found


def _write_table(path: Path, trials: Sequence[FrozenTrial], keys: Sequence[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("trial", "state", "value", "epochs", "seconds", *keys))
    for trial in trials:
        seconds = f"{trial.duration.total_seconds():.1f}" if trial.duration else ""
        value = "" if trial.value is None else f"{trial.value:.6g}"
        row = (trial.number, trial.state.name.lower(), value, len(trial.intermediate_values), seconds)
        writer.writerow((*row, *(trial.params.get(key, "") for key in keys)))
    write_atomically(path, text.getvalue().encode())


def _listing(values: dict[str, Any]) -> str:
    texts = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key}={text}" for key, text in texts.items())
