"""Which bundle runs of each model that is updated: what shall run, what does, and what is tried.

`effective` of `fleet` says which cameras shall run; `applied` says which slots do. Both are one configuration
in the end, so a record that has changed is a difference like any other. One thread, the supervisor's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from vedette_edge.bundle import open_bundle
from vedette_edge.config import AgentConfig
from vedette_edge.engine import Engine, Model, OnChange, load_models
from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.errors import UpdateError, VedetteError
from vedette_edge.ota.bundles import nothing_to_run, stores, with_bundles
from vedette_edge.ota.evidence import Evidence
from vedette_edge.ota.following import Follower
from vedette_edge.ota.layout import ModelPlace
from vedette_edge.ota.record import Installed
from vedette_edge.ota.trials import check_digest

__all__ = ["Selection"]


class Selection:
    """The slots of all model stores of one agent.

    Attributes:
        config: what `applied` was given last.
        running: what runs, by the model's name in the configuration.
    """

    def __init__(
        self, config: AgentConfig, ledger: LedgerFile, clock: Callable[[], float] = time.time
    ) -> None:
        """Follow nothing yet; `applied` says what there is to follow.

        Args:
            config: as it is written.
            ledger: of the engine.
            clock: Unix time.
        """
        self.config = config
        self.running: Mapping[str, Installed] = {}
        self._ledger = ledger
        self._clock = clock
        self._followers: dict[Path, Follower] = {}
        self._named: dict[str, Follower] = {}
        self._pending: dict[str, Installed] = {}

    def applied(self, config: AgentConfig) -> AgentConfig:
        """Return what shall run: a configuration with a slot in the place of each model store.

        The start of a candidate is counted before this returns.

        Raises:
            ConfigError: when a model store has no model.
            UpdateError: when the record of a store that was not followed so far cannot be read.
        """
        self.config = config
        self._named = {name: self._follower(name, place) for name, place in stores(config).items()}
        self._pending = self.wanted()
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
            if name in self.running
            and self.running[name].slot == one.slot
            and self.running[name].digest != one.digest
        ]

    def alike(self, models: Mapping[str, Model]) -> list[str]:
        """Return the models whose candidate takes the place of what runs, on the frames that this takes.

        Their cameras need not begin again. The way back from a candidate that has failed does not go like
        this: what it leaves behind in a camera's thread is not to be trusted.
        """
        return [
            name
            for name, one in self.on_trial(self._pending).items()
            if name in models and _takes_the_same(models[name], self._named[name].place.slot(one.slot))
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
        candidates = self.on_trial(self._pending)
        models = load_models(config, on_change, ledger=self._ledger, kept=kept, updates=candidates)
        for name, candidate in candidates.items():
            check_digest(name, models[name], candidate)
        return models

    def took(self) -> None:
        """Take note that what `applied` returned last runs now."""
        self.running = self._pending

    def suspects(self, error: VedetteError) -> list[str]:
        """Return the candidates that may be why what `applied` returned last cannot be run."""
        trial = self.on_trial(self._pending)
        new = [name for name, one in trial.items() if self.running.get(name) != one]
        return [name for name in new if error.model in ("", name)]

    def follower(self, name: str) -> Follower | None:
        """Return who follows a model; None where it is not updated."""
        return self._named.get(name)

    def by_store(self) -> Iterator[tuple[Follower, tuple[str, ...]]]:
        """Yield who follows each store, and the names that the configuration gives its model."""
        for follower in list(self._followers.values()):
            names = tuple(name for name, one in self._named.items() if one is follower)
            if names:
                yield follower, names

    def wanted(self) -> dict[str, Installed]:
        """Return what shall run of each model; where there is nothing, what runs stays."""
        found = {name: one.course.alarms or self.running.get(name) for name, one in self._named.items()}
        return {name: one for name, one in found.items() if one is not None}

    def on_trial(self, these: Mapping[str, Installed]) -> dict[str, Installed]:
        """Return those that are candidates in their trial."""
        courses = {name: follower.course for name, follower in self._named.items()}
        return {
            name: one
            for name, one in these.items()
            if name in courses and courses[name].alarms == courses[name].tries == one
        }

    def beside(self) -> dict[str, tuple[Installed, Path]]:
        """Return the candidates that are to have a shadow, with their directories."""
        found: dict[str, tuple[Installed, Path]] = {}
        for follower, names in self.by_store():
            tries, alarms = follower.course.tries, follower.course.alarms
            if tries is not None and alarms is not None and tries != alarms and names[0] in self.running:
                found[names[0]] = tries, follower.place.slot(tries.slot)
        return found

    def evidence(self) -> dict[str, Evidence]:
        """Return the evidence of the candidates that are being tried."""
        return {
            name: follower.evidence
            for name, follower in self._named.items()
            if follower.evidence is not None and follower.course.tries is not None
        }

    def _follower(self, name: str, place: ModelPlace) -> Follower:
        key = place.directory
        if key not in self._followers:
            try:
                self._followers[key] = Follower(place, self.config.state_dir, self._fallen, self._clock)
            except UpdateError as error:
                error.model = name
                raise
        return self._followers[key]

    def _fallen(self, digest: str) -> str:
        fall = self._ledger.fallen(digest)
        return f"{fall.why}, {fall.count} times in a row" if fall else ""


def _takes_the_same(model: Model, candidate: Path) -> bool:
    try:
        manifest = open_bundle(candidate).manifest
    except VedetteError:
        return False
    return (manifest.task, manifest.input.fps) == (model.manifest.task, model.manifest.input.fps)
