"""What the running agent does for updates: follows the records, tries candidates, says what it saw of them.

The agent asks what shall run (`applied`), and tells what became of it. All else happens in `tick`:

1. Records are looked at every other second.
2. A candidate in its shadow is loaded beside, and shown what the model that alarms is shown.
3. What a candidate shows is written as evidence every few seconds.
4. A candidate that fails is left, and what was committed runs. It fails when it cannot be
   loaded, leaves a variant in an inference, hangs, ends a camera, gives no verdicts or none that are numbers,
   is too slow, or has used up its tries. That another of its variants could go on is no excuse: the model
   before it is known to be good here, and what was probed is not what would run.

One thread, the supervisor's, but for what a tapped judge tells.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from vedette_edge.assembly import Assembled
from vedette_edge.config import AgentConfig
from vedette_edge.engine import Engine, Model, OnChange, load_models
from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.errors import ConfigError, UpdateError, VedetteError
from vedette_edge.judges import Judge
from vedette_edge.ota.bundles import nothing_to_run, stores, with_bundles
from vedette_edge.ota.evidence import Evidence
from vedette_edge.ota.following import Follower
from vedette_edge.ota.hints import Hints
from vedette_edge.ota.layout import ModelPlace, look_path
from vedette_edge.ota.payloads import ModelReport
from vedette_edge.ota.record import Installed
from vedette_edge.ota.reporting import meaning, model_report
from vedette_edge.ota.tap import TappedJudge
from vedette_edge.ota.trials import Trials, check_digest, usual_of

__all__ = ["Updates", "begin"]

_log = logging.getLogger(__name__)

_LOOK = 2.0  # seconds between two looks at the records
_WRITE = 5.0  # seconds between two writings of evidence
_PUT_OFF = 30.0  # seconds until what could not be run is tried again


def begin(config: AgentConfig, on_change: OnChange) -> tuple[Updates, Engine]:
    """Load the models that shall run when the agent starts; a candidate that cannot be loaded is left.

    Args:
        config: as it is written.
        on_change: as of `load_models`.

    Raises:
        VedetteError: when a model cannot be loaded, and none stands behind it.
    """
    ledger = LedgerFile(config.state_dir / "engine")
    try:
        updates = Updates(config, ledger)
        while True:
            try:
                models = updates.load(updates.applied(config), on_change)
            except VedetteError as error:
                if not updates.blame(error):
                    raise
                continue
            updates.took(models)
            return updates, models
    except BaseException as error:
        if isinstance(error, UpdateError | ConfigError):
            # The updater can mend a record, and fetch a first model.
            hints = Hints(look_path(config.state_dir))
            hints.look_soon()
            hints.tick()
        ledger.close()
        raise


class Updates:
    """The updates of all models of one agent."""

    def __init__(
        self, config: AgentConfig, ledger: LedgerFile, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Follow nothing yet; `applied` says what there is to follow.

        Args:
            config: as it is written.
            ledger: of the engine.
            clock: seconds; only rises.
        """
        self._ota = config.ota
        self._state_dir = config.state_dir
        self._config = config
        self._ledger = ledger
        self._clock = clock
        self._followers: dict[str, Follower] = {}
        self._named: dict[str, Follower] = {}
        self._pending: dict[str, Installed] = {}
        self._running: dict[str, Installed] = {}
        self._trials = Trials(config.state_dir, ledger, clock)
        self._enough: set[str] = set()
        self._next_look = self._next_write = self._put_off_until = float("-inf")
        self._told: object = None
        self.hints = Hints(look_path(config.state_dir), clock)

    # What shall run

    def applied(self, config: AgentConfig) -> AgentConfig:
        """Return what shall run: a configuration with a slot in the place of each model store.

        The start of a candidate is counted before this returns.

        Raises:
            ConfigError: when a model store has no model.
            UpdateError: when the record of a store that was not followed so far cannot be read.
        """
        self._config = config
        self._named = {name: self._follower(name, place) for name, place in stores(config).items()}
        self._pending = self._wanted()
        for name, follower in self._named.items():
            if name not in self._pending:
                raise nothing_to_run(name, follower.place)
        return with_bundles(
            config,
            {name: self._named[name].place.slot(one.slot) for name, one in self._pending.items()},
        )

    @property
    def anew(self) -> list[str]:
        """Models whose slot is the one that runs, with another bundle in it."""
        return [
            name
            for name, one in self._pending.items()
            if name in self._running
            and self._running[name].slot == one.slot
            and self._running[name].digest != one.digest
        ]

    def load(
        self, config: AgentConfig, on_change: OnChange, *, kept: Mapping[str, Model] | None = None
    ) -> Engine:
        """Load the models of what `applied` returned.

        Args:
            config: what shall run.
            on_change: as of `load_models`.
            kept: as of `load_models`.

        Raises:
            VedetteError: as `load_models`; when a candidate is not what its record says.
        """
        candidates = self._on_trial(self._pending)
        models = load_models(config, on_change, ledger=self._ledger, kept=kept, updates=candidates)
        for name, candidate in candidates.items():
            check_digest(name, models[name], candidate)
        return models

    def took(self, models: Mapping[str, Model]) -> None:
        """Take note that what `applied` returned last runs now, with these models."""
        self._running = self._pending
        self._trials.watch(self._on_trial(self._running), models)

    def blame(self, error: VedetteError) -> bool:
        """Leave the candidates for which what shall run cannot be loaded; return whether there is one."""
        new = [name for name, one in self._on_trial(self._pending).items() if self._running.get(name) != one]
        guilty = [name for name in new if error.model in ("", name)]
        for name in guilty:
            self._leave(name, str(error))
        return bool(guilty) and all(self._named[name].course.alarms is not None for name in guilty)

    # As it runs

    def tick(
        self, models: Mapping[str, Model], cameras: Sequence[Assembled], converge: Callable[[], None]
    ) -> None:
        """Do what is due. Call it often.

        Args:
            models: that run.
            cameras: that run.
            converge: runs what shall run; it raises a `VedetteError` where that cannot be.
        """
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK
            for follower, _ in self._by_store():
                follower.look()
            self._trials.run_beside(self._config, self._beside())
        if now >= self._next_write:
            self._next_write = now + _WRITE
            self._weigh(models, cameras)
        self._find_failures(models, cameras)
        self.hints.tick()
        if self._wanted() == self._running or now < self._put_off_until:
            return
        self._note_what_is_usual(models, cameras)
        try:
            converge()
        except VedetteError as error:
            _log.error("update: %s; what runs goes on", error)
            self._put_off_until = self._clock() + _PUT_OFF

    def answers_for(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> bool:
        """Tell whether what has ended cameras will be mended by leaving a candidate."""
        self._find_failures(models, cameras)
        return self._wanted() != self._running and self._clock() >= self._put_off_until

    def hung(self, name: str, why: str) -> None:
        """Take note that an inference of a model hangs; the process is about to end."""
        if name in self._on_trial(self._running):
            self._leave(name, why)

    def hold(self, on: bool) -> None:
        """Let shadows rest as long as the device must be spared."""
        self._trials.hold(on)

    def tapped(self, camera: str, model: Model, judge: Judge) -> Judge:
        """Return a judge that a candidate may look over the shoulder."""
        if model.name not in self._named:
            return judge
        return TappedJudge(judge, partial(self._trials.tell, camera, model))

    def close(self) -> None:
        """End the shadows."""
        self._trials.close()

    # What is told

    @property
    def running(self) -> Mapping[str, Installed]:
        """What runs of the models that are updated, by the model's name in the configuration."""
        return self._running

    def reports(self) -> tuple[ModelReport, ...]:
        """Return where each update stands; from any thread."""
        return tuple(
            model_report(follower, names, self._running.get(names[0])) for follower, names in self._by_store()
        )

    def news(self) -> tuple[ModelReport, ...] | None:
        """Return where each update stands, if that is something else than at the last call."""
        reports = self.reports()
        means = [meaning(report) for report in reports], sorted(self._enough)
        if means == self._told or not reports:
            return None
        self._told = means
        return reports

    # The parts of it

    def _follower(self, name: str, place: ModelPlace) -> Follower:
        key = place.directory.name
        if key not in self._followers:
            try:
                self._followers[key] = Follower(place, self._state_dir, self._fallen)
            except UpdateError as error:
                error.model = name
                raise
        return self._followers[key]

    def _by_store(self) -> Iterator[tuple[Follower, tuple[str, ...]]]:
        for follower in list(self._followers.values()):
            names = tuple(name for name, one in self._named.items() if one is follower)
            if names:
                yield follower, names

    def _fallen(self, digest: str) -> str:
        fall = self._ledger.fallen(digest)
        return f"{fall.why}, {fall.count} times in a row" if fall else ""

    def _wanted(self) -> dict[str, Installed]:
        """Return what shall run of each model; where there is nothing, what runs stays."""
        found = {name: one.course.alarms or self._running.get(name) for name, one in self._named.items()}
        return {name: one for name, one in found.items() if one is not None}

    def _on_trial(self, these: Mapping[str, Installed]) -> dict[str, Installed]:
        """Return those that are candidates in their trial."""
        courses = {name: follower.course for name, follower in self._named.items()}
        return {
            name: one
            for name, one in these.items()
            if name in courses and courses[name].alarms == courses[name].tries == one
        }

    def _beside(self) -> dict[str, tuple[Installed, Path]]:
        """Return the candidates that are to have a shadow, with their directories."""
        found: dict[str, tuple[Installed, Path]] = {}
        for follower, names in self._by_store():
            tries, alarms = follower.course.tries, follower.course.alarms
            if tries is not None and alarms is not None and tries != alarms and names[0] in self._running:
                found[names[0]] = tries, follower.place.slot(tries.slot)
        return found

    def _evidence(self) -> dict[str, Evidence]:
        """Return the evidence of the candidates that are being tried."""
        return {
            name: follower.evidence
            for name, follower in self._named.items()
            if follower.evidence is not None and follower.course.tries is not None
        }

    def _leave(self, name: str, why: str) -> None:
        if self._named[name].fail(why):
            self.hints.look_soon()

    def _find_failures(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        for name, why in self._trials.failures(models, cameras):
            self._leave(name, why)

    def _weigh(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        """Write what the candidates have shown so far."""
        for name, evidence in self._trials.seen(models, self._evidence()):
            if evidence != self._named[name].evidence:
                self._named[name].keep(evidence.model_copy(update={"updated": time.time()}))
                self._tell_when_enough(name, evidence)
        for name, why in self._trials.slow(models, cameras, self._evidence()):
            self._leave(name, why)

    def _tell_when_enough(self, name: str, evidence: Evidence) -> None:
        """Have the updater look as soon as it has what it waits for."""
        if self._ota is None:
            return
        wanted = self._ota.trial if evidence.phase == "trial" else self._ota.shadow
        done = f"{self._named[name].name} {evidence.digest} {evidence.phase}"
        if evidence.seconds >= wanted and done not in self._enough:
            self._enough.add(done)
            self.hints.look_soon()

    def _note_what_is_usual(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        """Write what a model took, before its candidate takes its place."""
        for name, one in self._on_trial(self._wanted()).items():
            follower, evidence = self._named[name], self._named[name].evidence
            if self._running.get(name) == one or name not in models or evidence is None:
                continue
            usual = usual_of(name, models[name], cameras)
            if usual is not None and evidence.usual is None:
                follower.keep(evidence.model_copy(update={"usual": usual}))
