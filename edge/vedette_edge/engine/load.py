"""Loads the models of a configuration, or one alone."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from vedette_edge.benchmark import kept, stores
from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.config import AgentConfig, ModelConfig, check_cameras
from vedette_edge.engine.engine import Engine
from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.engine.loader import Loader
from vedette_edge.engine.models import Model
from vedette_edge.engine.standby import Running, Standby
from vedette_edge.errors import ConfigError

__all__ = ["OnChange", "load_models", "open_model"]

OnChange: TypeAlias = Callable[[str, str, str], None]
"""Told of (model, variant, reason)."""


def load_models(
    config: AgentConfig, on_change: OnChange = lambda *_: None, *, ledger: LedgerFile | None = None
) -> Engine:
    """Load all models of a configuration.

    Args:
        config: the configuration.
        on_change: told when a variant takes another's place; from an inference thread, or that of `spare`.
        ledger: of the engine that the new one takes the place of, in the same process; that one is then not
            closed. By default, the one in the state directory.

    Raises:
        VedetteError: when one cannot be loaded or does not prove itself, or does not fit the cameras.
    """
    bundles = {name: open_bundle(model.bundle) for name, model in config.every_model.items()}
    check_cameras(config, {name: bundle.manifest for name, bundle in bundles.items()})
    for name, model in config.every_model.items():
        if model.trigger is not None and bundles[name].manifest.task != "anomaly":
            raise ConfigError(f"models.{name}.trigger: only a model of task anomaly judges single pictures")
    book = ledger or LedgerFile(config.state_dir / "engine")
    try:
        models = {
            name: _load(name, bundle, model, config.state_dir, _cameras(config, name), book, on_change)
            for (name, bundle), model in zip(bundles.items(), config.every_model.values(), strict=True)
        }
    except BaseException:
        if ledger is None:
            book.close()
        raise
    _give_back_memory()
    return Engine(models, book)


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


def _give_back_memory() -> None:
    """Give the system what loading took and freed, some 20 MiB a model: glibc would keep it for later."""
    with contextlib.suppress(AttributeError):  # other C libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)


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
) -> Model:
    def changed(running: Running, why: str) -> None:
        on_change(name, running.candidate.variant.name, why)

    benchmark = kept(stores(state_dir), bundle, model.threads)
    measured = benchmark.measured if benchmark else {}
    loader = Loader(name, bundle, model, measured=measured, cameras=cameras, ledger=ledger)
    return Model(name, bundle, Standby(loader.next, changed), loader, model.trigger)
