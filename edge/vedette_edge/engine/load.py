"""Loads the models of a configuration, or one alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from vedette_edge.benchmark import kept, stores
from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.config import AgentConfig, ModelConfig, check_cameras
from vedette_edge.engine.engine import Engine
from vedette_edge.engine.ledger import LedgerFile, Run
from vedette_edge.engine.loader import Loader
from vedette_edge.engine.models import Model
from vedette_edge.engine.standby import Running, Standby
from vedette_edge.errors import ConfigError, VedetteError
from vedette_edge.memory import give_back_memory

__all__ = ["OnChange", "load_beside", "load_models", "open_model"]

OnChange: TypeAlias = Callable[[str, str, str], None]
"""Told of (model, variant, reason)."""


def load_models(
    config: AgentConfig,
    on_change: OnChange = lambda *_: None,
    *,
    ledger: LedgerFile | None = None,
    kept: Mapping[str, Model] | None = None,
    updates: Collection[str] = (),
) -> Engine:
    """Load all models of a configuration.

    Args:
        config: the configuration.
        on_change: told when a variant takes another's place; from an inference thread, or that of `spare`.
        ledger: of the engine that the new one takes the place of, in the same process; that one is then not
            closed. By default, the one in the state directory.
        kept: models by name that are loaded already, and stay as they are.
        updates: names of those that are an update which is still being tried.

    Raises:
        VedetteError: when one cannot be loaded or does not prove itself, or does not fit the cameras; what is
            about one model says so in `model`.
    """
    bundles = {name: _open(name, model.bundle) for name, model in config.every_model.items()}
    check_cameras(config, {name: bundle.manifest for name, bundle in bundles.items()})
    for name, model in config.every_model.items():
        if model.trigger is not None and bundles[name].manifest.task != "anomaly":
            raise ConfigError(f"models.{name}.trigger: only a model of task anomaly judges single pictures")
    book = ledger or LedgerFile(config.state_dir / "engine")
    ran, models = book.ledger.runs, dict(kept or {})
    try:
        for name in (name for name in bundles if name not in models):
            with _about(name):
                models[name] = _load(
                    name,
                    bundles[name],
                    config.every_model[name],
                    config.state_dir,
                    _cameras(config, name),
                    book,
                    on_change,
                    update=name in updates,
                )
    except BaseException:
        if ledger is None:
            book.close()
        else:
            _go_on(book, ran)
        raise
    give_back_memory()
    return Engine({name: models[name] for name in bundles}, book)


def load_beside(
    name: str, model: ModelConfig, state_dir: Path, ledger: LedgerFile, on_change: OnChange = lambda *_: None
) -> Model:
    """Load an update of a model beside the engine, where it judges but does not alarm.

    Args:
        name: what the ledger calls it; no other model's.
        model: its section of the configuration, with its own bundle.
        state_dir: the agent's.
        ledger: of the engine.
        on_change: as of `load_models`.

    Raises:
        VedetteError: when it cannot be loaded or does not prove itself.
    """
    return _load(name, open_bundle(model.bundle), model, state_dir, 1, ledger, on_change, update=True)


@contextlib.contextmanager
def _about(model: str) -> Iterator[None]:
    try:
        yield
    except VedetteError as error:
        error.model = model
        raise


def _go_on(book: LedgerFile, ran: Mapping[str, Run]) -> None:
    """Write that what ran runs on: what was to take its place cannot be loaded."""
    for name, run in book.ledger.runs.items():
        before = ran.get(name)
        if before is None:
            book.forget(name)
        elif before != run:
            book.tell(name, before.candidate, before.phase, update=before.update)


def open_model(model: ModelConfig, state_dir: Path | None = None) -> Model:
    """Load one model alone, for a command that judges no cameras; no ledger is kept.

    Args:
        model: as in a configuration.
        state_dir: the agent's, where measurements may be; by default only the user's count.

    Raises:
        VedetteError: when it cannot be loaded or does not prove itself.
    """
    bundle = open_bundle(model.bundle)
    name = bundle.manifest.name
    return _load(name, bundle, model, state_dir, 1, LedgerFile(None), lambda *_: None)


def _open(name: str, directory: Path) -> Bundle:
    with _about(name):
        return open_bundle(directory)


def _cameras(config: AgentConfig, model: str) -> int:
    return sum(model in config.models_of(camera) for camera in config.cameras)


def _load(
    name: str,
    bundle: Bundle,
    model: ModelConfig,
    state_dir: Path | None,
    cameras: int,
    ledger: LedgerFile,
    on_change: OnChange,
    *,
    update: bool = False,
) -> Model:
    def changed(running: Running, why: str) -> None:
        on_change(name, running.candidate.variant.name, why)

    benchmark = kept(stores(state_dir), bundle, model.threads)
    measured = benchmark.measured if benchmark else {}
    loader = Loader(name, bundle, model, measured=measured, cameras=cameras, ledger=ledger, update=update)
    return Model(name, bundle, Standby(loader.next, changed), loader, model.trigger)
