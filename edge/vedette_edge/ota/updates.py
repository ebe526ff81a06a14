"""What the running agent does for updates: follows the records, tries candidates, says what it saw of them.

The agent asks what shall run (`selection`), and tells what became of it. All else happens in `tick`:

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
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vedette_edge.assembly import Assembled
from vedette_edge.config import AgentConfig
from vedette_edge.engine import Engine, Model, OnChange
from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.errors import ConfigError, UpdateError, VedetteError
from vedette_edge.judges import Judge
from vedette_edge.ota.evidence import Evidence
from vedette_edge.ota.hints import Hints
from vedette_edge.ota.layout import look_path
from vedette_edge.ota.payloads import ModelReport
from vedette_edge.ota.reporting import meaning, model_report
from vedette_edge.ota.selection import Selection
from vedette_edge.ota.tap import TappedJudge
from vedette_edge.ota.trials import Trials, usual_of

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
                models = updates.selection.load(updates.selection.applied(config), on_change)
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
        self._clock = clock
        self._trials = Trials(config.state_dir, ledger, clock)
        self._enough: set[str] = set()
        self._next_look = self._next_write = self._put_off_until = float("-inf")
        self._told: object = None
        self.hints = Hints(look_path(config.state_dir), clock)
        self.selection = Selection(config, ledger)

    def took(self, models: Mapping[str, Model]) -> None:
        """Take note that what was selected last runs now, with these models."""
        self.selection.took()
        self._trials.watch(self.selection.on_trial(self.selection.running), models)

    def blame(self, error: VedetteError) -> bool:
        """Leave the candidates for which what was selected cannot be run; return whether that is of use."""
        suspects = self.selection.suspects(error)
        for name in suspects:
            self._leave(name, str(error))
        left = [follower for follower in map(self.selection.follower, suspects) if follower is not None]
        return bool(left) and all(follower.course.alarms is not None for follower in left)

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
            for follower, _ in self.selection.by_store():
                follower.look()
            self._trials.run_beside(self.selection.config, self.selection.beside())
        if now >= self._next_write:
            self._next_write = now + _WRITE
            self._weigh(models, cameras)
        self._find_failures(models, cameras)
        self.hints.tick()
        if self.selection.wanted() == self.selection.running or now < self._put_off_until:
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
        return self.selection.wanted() != self.selection.running and self._clock() >= self._put_off_until

    def hung(self, name: str, why: str) -> None:
        """Take note that an inference of a model hangs; the process is about to end."""
        if name in self.selection.on_trial(self.selection.running):
            self._leave(name, why)

    def hold(self, on: bool) -> None:
        """Let shadows rest as long as the device must be spared."""
        self._trials.hold(on)

    def tapped(self, camera: str, model: Model, judge: Judge) -> Judge:
        """Return a judge that a candidate may look over the shoulder."""
        if self.selection.follower(model.name) is None:
            return judge
        return TappedJudge(judge, partial(self._trials.tell, camera, model))

    def close(self) -> None:
        """End the shadows."""
        self._trials.close()

    def reports(self) -> tuple[ModelReport, ...]:
        """Return where each update stands; from any thread."""
        return tuple(
            model_report(follower, names, self.selection.running.get(names[0]))
            for follower, names in self.selection.by_store()
        )

    def news(self) -> tuple[ModelReport, ...] | None:
        """Return where each update stands, if that is something else than at the last call."""
        reports = self.reports()
        means = [meaning(report) for report in reports], sorted(self._enough)
        if means == self._told or not reports:
            return None
        self._told = means
        return reports

    def _leave(self, name: str, why: str) -> None:
        follower = self.selection.follower(name)
        if follower is not None and follower.fail(why):
            self.hints.look_soon()

    def _find_failures(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        for name, why in self._trials.failures(models, cameras):
            self._leave(name, why)

    def _weigh(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        """Write what the candidates have shown so far."""
        for name, evidence in self._trials.seen(models, self.selection.evidence()):
            follower = self.selection.follower(name)
            if follower is not None and evidence != follower.evidence:
                follower.keep(evidence.model_copy(update={"updated": time.time()}))
                self._tell_when_enough(follower.name, evidence)
        for name, why in self._trials.slow(models, cameras, self.selection.evidence()):
            self._leave(name, why)

    def _tell_when_enough(self, name: str, evidence: Evidence) -> None:
        """Have the updater look as soon as it has what it waits for."""
        if self._ota is None:
            return
        wanted = self._ota.trial if evidence.phase == "trial" else self._ota.shadow
        done = f"{name} {evidence.digest} {evidence.phase}"
        if evidence.seconds >= wanted and done not in self._enough:
            self._enough.add(done)
            self.hints.look_soon()

    def _note_what_is_usual(self, models: Mapping[str, Model], cameras: Sequence[Assembled]) -> None:
        """Write what a model took, before its candidate takes its place."""
        for name, one in self.selection.on_trial(self.selection.wanted()).items():
            follower = self.selection.follower(name)
            if self.selection.running.get(name) == one or name not in models:
                continue
            usual = usual_of(name, models[name], cameras)
            if follower and follower.evidence and usual and not follower.evidence.usual:
                follower.keep(follower.evidence.model_copy(update={"usual": usual}))
