"""Loads what runs of one model: at the start, when that fails, and when the device must be spared."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from vedette_edge.bundle import Bundle
from vedette_edge.choice import Candidate, Choice, candidates, cost, placed
from vedette_edge.config import AUTO, ModelConfig
from vedette_edge.engine.batching import gains
from vedette_edge.engine.ledger import LedgerFile, Phase, key_of
from vedette_edge.engine.shared import SharedSession, SharedStreams
from vedette_edge.engine.standby import Running
from vedette_edge.engine.turns import Turns
from vedette_edge.errors import RuntimeBackendError, VedetteError
from vedette_edge.machine import cores
from vedette_edge.manifest import Measured
from vedette_edge.preprocess import to_tensor
from vedette_edge.proof import Proved
from vedette_edge.runtimes.base import BatchSession, Session, StreamingSession

__all__ = ["Loader"]

_log = logging.getLogger(__name__)

_MOST_CLIPS = 8  # in a call


class Loader:
    """Loads variants of one model, and writes in the ledger what it does."""

    def __init__(
        self,
        name: str,
        bundle: Bundle,
        model: ModelConfig,
        *,
        measured: Mapping[str, Measured],
        cameras: int,
        ledger: LedgerFile,
        update: bool = False,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            name: of the model, in the configuration.
            bundle: the model.
            model: its section of the configuration.
            measured: costs on this device, by the variant's name.
            cameras: how many it judges.
            ledger: says which candidates fell lately; they are tried last.
            update: whether it is an update that is still being tried.

        Raises:
            BundleError: when no variant is as the configuration wishes.
        """
        self._name = name
        self._bundle = bundle
        self._model = model
        self._measured = measured
        self._cameras = cameras
        self._ledger = ledger
        self._update = update
        self._runs: Candidate | None = None
        wished = candidates(bundle, model.variant, measured, mode=model.mode)
        self._choice = self._choose(self._fallen_last(placed(wished, model.providers)))

    def next(self) -> Running:
        """Load the next that works of those that the configuration wishes.

        Raises:
            VedetteError: as `Choice.next`.
        """
        return self._load(self._choice)

    def cheaper(self, than: Candidate) -> list[Candidate]:
        """Return what was measured to cost less a sampled frame, of the whole bundle, the cheapest first."""
        manifest = self._bundle.manifest
        now = cost(than.variant, manifest, self._measured)
        variants = candidates(self._bundle, AUTO, self._measured)
        costs = [(variant, cost(variant, manifest, self._measured)) for variant in variants]
        less = [variant for variant, one in costs if now is not None and one is not None and one < now]
        return self._fallen_last(placed(less, self._model.providers))

    def first(self, of: Sequence[Candidate]) -> Running:
        """Load the first of some candidates that works.

        Raises:
            VedetteError: as `Choice.next`.
        """
        return self._load(self._choose(of))

    def _choose(self, tried: Sequence[Candidate]) -> Choice:
        return Choice(
            self._bundle,
            tried,
            threads=self._model.threads,
            named=self._model.variant != AUTO,
            on_try=partial(self._tell, "loading"),
        )

    def _fallen_last(self, every: Sequence[Candidate]) -> list[Candidate]:
        standing: list[Candidate] = []
        fallen: list[Candidate] = []
        for candidate in every:
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

    def _load(self, choice: Choice) -> Running:
        try:
            candidate, proved = choice.next()
            running = Running(candidate, self._shared(candidate, proved))
        except VedetteError:
            if self._runs is not None:
                self._tell("running", self._runs)
            raise
        self._runs = candidate
        self._tell("running", candidate)
        measured = self._measured.get(candidate.variant.name)
        _log.info(
            "model '%s', variant '%s': golden samples reproduced, largest difference %.1e; %s",
            self._bundle.manifest.name,
            candidate.name,
            max(proved.difference.logits_max, proved.difference.heatmap_max),
            f"{measured.p50_ms:g} ms a call" if measured else "not measured here",
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
        try:
            if not gains(session, to_tensor(list(inputs[0]), manifest.input), count):
                return 1
        except RuntimeBackendError as error:
            _log.warning("model '%s': clips are judged one at a time: %s", self._name, error)
            return 1
        _log.info("model '%s': up to %d clips are judged in a call", self._name, count)
        return count

    def _tell(self, phase: Phase, candidate: Candidate) -> None:
        self._ledger.tell(self._name, self._key(candidate), phase, update=self._update)

    def _key(self, candidate: Candidate) -> str:
        return key_of(self._bundle.digest, candidate.name)
