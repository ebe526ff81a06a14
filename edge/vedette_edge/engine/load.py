"""Loads the models of a configuration: chosen by measurement, proved, shared, recorded in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from vedette_edge.benchmark import kept, stores
from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.choice import Candidate, Choice, candidates, placed
from vedette_edge.config import AUTO, AgentConfig, ModelConfig, check_cameras
from vedette_edge.engine.batching import gains
from vedette_edge.engine.engine import Engine
from vedette_edge.engine.ledger import LedgerFile, Phase
from vedette_edge.engine.models import Model
from vedette_edge.engine.shared import SharedSession, SharedStreams
from vedette_edge.engine.standby import Running, Standby
from vedette_edge.engine.turns import Turns
from vedette_edge.errors import ConfigError
from vedette_edge.machine import cores
from vedette_edge.preprocess import to_tensor
from vedette_edge.proof import Proved
from vedette_edge.runtimes.base import BatchSession, Session, StreamingSession

__all__ = ["OnChange", "load_models"]

_log = logging.getLogger(__name__)

OnChange: TypeAlias = Callable[[str, str, str], None]
"""Told of (model, variant, reason)."""

_MOST_CLIPS = 8  # in a call


def load_models(
    config: AgentConfig, on_change: OnChange = lambda *_: None, *, ledger: LedgerFile | None = None
) -> Engine:
    """Load all models of a configuration.

    Args:
        config: the configuration.
        on_change: told when a variant takes the place of one that failed; from an inference thread.
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
            name: _Loader(name, bundle, config, book).load(on_change) for name, bundle in bundles.items()
        }
    except BaseException:
        if ledger is None:
            book.close()
        raise
    return Engine(models, book)


def load_alone(bundle: Bundle, variant: str = AUTO) -> Model:
    """Load a model for one who judges files: without cameras, accelerators or a ledger.

    Raises:
        VedetteError: when no variant works, or the one that is named does not.
    """
    benchmark = kept(stores(), bundle)
    found = candidates(bundle, variant, benchmark.measured if benchmark else {})
    choice = Choice(bundle, placed(found, ["cpu"]), named=variant != AUTO)

    def following() -> Running:
        candidate, proved = choice.next()
        session = proved.session
        if isinstance(session, StreamingSession):
            return Running(candidate, SharedStreams(session))
        return Running(candidate, SharedSession(session))

    return Model(bundle.manifest.name, bundle, Standby(following, lambda *_: None))


class _Loader:
    """Loads what runs of one model, at the start and whenever that fails."""

    def __init__(self, name: str, bundle: Bundle, config: AgentConfig, ledger: LedgerFile) -> None:
        self._name = name
        self._bundle = bundle
        self._model: ModelConfig = config.every_model[name]
        self._ledger = ledger
        self._cameras = sum(name in config.models_of(camera) for camera in config.cameras)
        benchmark = kept(stores(config.state_dir), bundle, self._model.threads)
        self._measured = benchmark.measured if benchmark else {}
        self._choice = Choice(
            bundle,
            self._candidates(),
            threads=self._model.threads,
            named=self._model.variant != AUTO,
            on_try=partial(self._tell, "loading"),
        )

    def load(self, on_change: OnChange) -> Model:
        """Load the first that works; those after it stand by."""

        def changed(running: Running, why: str) -> None:
            on_change(self._name, running.candidate.variant.name, why)

        return Model(self._name, self._bundle, Standby(self._next, changed), self._model.trigger)

    def _candidates(self) -> list[Candidate]:
        """Return all candidates, those that fell lately at the end."""
        model = self._model
        variants = candidates(self._bundle, model.variant, self._measured, mode=model.mode)
        standing: list[Candidate] = []
        fallen: list[Candidate] = []
        for candidate in placed(variants, model.providers):
            fall = self._ledger.passed_over(self._key(candidate))
            if fall is None:
                standing.append(candidate)
                continue
            fallen.append(candidate)
            _log.warning(
                "model '%s': variant '%s' is passed over for a day, as %s, %d times in a row",
                *(self._name, candidate.name, fall.why, fall.count),
            )
        return [*standing, *fallen]

    def _next(self) -> Running:
        candidate, proved = self._choice.next()
        running = Running(candidate, self._shared(candidate, proved))
        self._tell("running", candidate)
        cost = self._measured.get(candidate.variant.name)
        _log.info(
            "model '%s', variant '%s': golden samples reproduced, largest difference %.1e; %s",
            self._bundle.manifest.name,
            candidate.name,
            max(proved.difference.logits_max, proved.difference.heatmap_max),
            f"{cost.p50_ms:g} ms a call" if cost else "not measured here",
        )
        return running

    def _shared(self, candidate: Candidate, proved: Proved) -> SharedSession | SharedStreams:
        threads = self._model.threads
        # Calls of one thread each leave cores free for others; an accelerator does not.
        on_cpu = candidate.providers[0] == "cpu"
        parallel = max(1, cores() // threads) if threads and on_cpu else 1
        turns = Turns(parallel, on_busy=partial(self._ledger.mark, self._name))
        if isinstance(proved.session, StreamingSession):
            return SharedStreams(proved.session, turns)
        batch = self._batch(proved.session) if parallel == 1 else 1
        return SharedSession(proved.session, turns, batch=batch)

    def _batch(self, session: Session) -> int:
        """Return how many clips a call may take: those of all cameras where that is a gain."""
        count = min(self._cameras, _MOST_CLIPS)
        if count < 2 or not (isinstance(session, BatchSession) and session.any_batch):
            return 1
        manifest = self._bundle.manifest
        inputs = self._bundle.read_array(manifest.golden.inputs).astype(np.uint8)
        if not gains(session, to_tensor(list(inputs[0]), manifest.input), count):
            return 1
        _log.info("model '%s': up to %d clips are judged in a call", self._name, count)
        return count

    def _tell(self, phase: Phase, candidate: Candidate) -> None:
        self._ledger.tell(self._name, self._key(candidate), phase)

    def _key(self, candidate: Candidate) -> str:
        return f"{self._bundle.digest[:16]}/{candidate.name}"
