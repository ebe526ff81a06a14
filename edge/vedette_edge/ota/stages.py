"""What each state of an update stands for, done with the real things: a repository, a store, a probe.

`Stages.do` does what a state asks for, and returns what came of it; what follows from that is for `machine`.
Nothing here writes a record.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vedette_edge.config import AgentConfig, ModelConfig
from vedette_edge.config.ota import OtaConfig
from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry
from vedette_edge.ota.evidence import Evidence, read_evidence
from vedette_edge.ota.fit import check_agent, check_fit, is_for, users_of
from vedette_edge.ota.layout import ModelPlace, Store, evidence_path
from vedette_edge.ota.machine import (
    Corrupt,
    DoesNotFit,
    Event,
    Fetched,
    FetchFailed,
    Fits,
    Look,
    NothingNew,
    Offered,
    Probed,
    ProbeFailed,
    Probing,
    Settled,
    Switched,
    Verified,
    judge_trial,
    wanted,
)
from vedette_edge.ota.record import Record, Slot, State
from vedette_edge.ota.release import Budget, Release, takes_part
from vedette_edge.ota.store import ModelStore
from vedette_edge.ota.trust import Offer, Repository

__all__ = ["Fit", "Probe", "Stages", "Tools", "Watch"]

_log = logging.getLogger(__name__)

_SPARE_BYTES = 64 * 2**20
"""That stay free whatever is fetched: the agent keeps what it could not send on the same disk."""

Probe: TypeAlias = Callable[[Path, ModelConfig, Budget], object]
"""Tries a bundle as a model of the configuration would run it; raises UpdateError when it fails."""

Watch: TypeAlias = Callable[[str, FileEntry, Path], AbstractContextManager[object]]
"""Entered with (model, file, where it grows) while a file is fetched."""

Fit: TypeAlias = Callable[[Path, Mapping[str, ModelConfig], AgentConfig], None]
"""As `fit.check_fit`."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a visit works with.

    Attributes:
        repository: opens where releases come from; done when a model first needs it, once a visit.
        store: of a model's place.
        probe: tries a candidate.
        board: name of this device's board; None where it has no profile.
        now: Unix time.
        watch: shows how a file grows.
        fit: tells whether a bundle fits the cameras.
        evidence: reads what the agent saw.
    """

    repository: Callable[[], AbstractContextManager[Repository]]
    store: Callable[[ModelPlace], ModelStore]
    probe: Probe
    board: str | None = None
    now: Callable[[], float] = time.time
    watch: Watch = lambda *_: contextlib.nullcontext()
    fit: Fit = check_fit
    evidence: Callable[[Path], Evidence | None] = read_evidence


class Stages:
    """One model's part of a visit."""

    def __init__(
        self,
        model: str,
        config: AgentConfig,
        ota: OtaConfig,
        tools: Tools,
        repository: Callable[[], Repository],
    ) -> None:
        """Prepare; nothing is asked or read yet.

        Args:
            model: its name in the repository.
            config: the agent's configuration.
            ota: its section of that name.
            tools: what to work with.
            repository: gives that of this visit.

        Raises:
            UpdateError: when no model of the configuration would run what is updated.
        """
        self._model = model
        self._config = config
        self._ota = ota
        self._tools = tools
        self._repository = repository
        self._place = Store(ota.store).model(model)
        self._users = users_of(self._place, config.every_model)
        self.store = tools.store(self._place)
        self._offered: Offer | None = None
        self._asked = self._counted = False

    def do(self, record: Record) -> Event | None:
        """Do what a state stands for; return what came of it, or None where there is nothing more to do now.

        Raises:
            TransportError: when bytes do not come; the next visit goes on.
            UpdateError: when the disk refuses, or the repository cannot be believed.
            OSError: when no process can be started.
        """
        does: dict[State, Callable[[Record], Event | None]] = {
            "idle": self._idle,
            "check": self._check,
            "space": self._space,
            "fetch": self._fetch,
            "verify": self._verify,
            "staged": self._staged,
            "probe": self._probe,
            "shadow": self._judge,
            "switch": lambda _: Switched(),
            "trial": self._judge,
            "commit": self._settle,
            "rollback": self._settle,
        }
        return does[record.state](record)

    def _idle(self, record: Record) -> Event | None:
        self.store.tidy(record)
        return None if self._asked else Look()

    def _check(self, record: Record) -> Event:
        offer = self._offer()
        taken = self._taken(record, offer)
        if offer is None or taken is None:
            return NothingNew()
        why, before = self._why_not_here(offer.release), record.outcome
        if why and before and (before.digest, before.reason) == (taken.digest, why):
            return NothingNew()  # it was said once, and is not worth a write at each visit
        return taken

    def _space(self, record: Record) -> Event:
        release = self._under_way(record)
        if not isinstance(release, Release):
            return release
        if why := self._why_not_here(release):
            return DoesNotFit(why)
        to_come = self.store.still_to_fetch(self.store.prepare(record, release))
        free = self.store.free()
        if to_come + _SPARE_BYTES > free:
            return DoesNotFit(
                f"{to_come} bytes are to come and {_SPARE_BYTES} must stay free for the agent, "
                f"but only {free} are free: remove what is not needed"
            )
        return Fits()

    def _fetch(self, record: Record) -> Event:
        release = self._under_way(record)
        if not isinstance(release, Release):
            return release
        assert record.candidate is not None
        slot = record.candidate.slot
        missing = self.store.prepare(record, release)
        first = [entry for entry in missing if entry.path == MANIFEST_NAME]
        rest = [entry for entry in missing if entry.path != MANIFEST_NAME]
        # The manifest says whether the rest is worth fetching.
        why = self._brought(slot, first) or self._why_no_fit(slot) or self._brought(slot, rest)
        return FetchFailed(why, final=True) if why else Fetched()

    def _verify(self, record: Record) -> Event:
        release = self._under_way(record)
        if not isinstance(release, Release):
            return release
        assert record.candidate is not None
        try:
            self.store.verify(record.candidate.slot, release)
        except UpdateError as error:
            return Corrupt(str(error))
        return Verified()

    def _staged(self, record: Record) -> Event:
        release = self._under_way(record)
        if not isinstance(release, Release):
            return release
        assert record.candidate is not None
        # The configuration may have changed since the bundle began to come.
        if why := self._why_no_fit(record.candidate.slot):
            return Corrupt(why)
        self._counted = True
        return Probing()

    def _probe(self, record: Record) -> Event:
        release = self._under_way(record)
        if not isinstance(release, Release):
            return release
        if not self._counted:  # the last one took the updater with it
            self._counted = True
            return Probing()
        assert record.candidate is not None
        try:
            for model in self._users.values():
                self._tools.probe(self._place.slot(record.candidate.slot), model, release.budget)
        except UpdateError as error:
            return ProbeFailed(str(error))
        return Probed()

    def _judge(self, record: Record) -> Event | None:
        try:
            evidence = self._tools.evidence(evidence_path(self._config.state_dir, self._model))
        except UpdateError as error:
            # As if nothing had been seen; a trial of which nothing is seen comes to an end all the same.
            _log.warning("%s", error, extra={"event": "ota", "model": self._model})
            evidence = None
        return judge_trial(record, evidence, self._ota, self._tools.now())

    def _settle(self, record: Record) -> Event:
        self.store.tidy(record)
        return Settled()

    def _offer(self) -> Offer | None:
        """Ask the repository, once a visit."""
        if not self._asked:
            self._offered = self._repository().offer(self._model)
            self._asked = True
        return self._offered

    def _taken(self, record: Record, offer: Offer | None) -> Offered | None:
        """Return an offer as an event where this device takes it."""
        if offer is None:
            return None
        release, part = offer.release, takes_part(offer.rollout, self._config.node)
        if not is_for(release, self._tools.board):
            return None  # no failure, which would count against its rollout
        if not wanted(record, release.release, release.digest, part=part):
            return None
        return Offered(release.release, release.digest, offer.rollout.campaign, self._ota.tries)

    def _under_way(self, record: Record) -> Release | Event:
        """Return the candidate's release, or what became of it where it is no longer the one on offer."""
        offer, candidate = self._offer(), record.candidate
        assert candidate is not None
        if offer and (offer.release.release, offer.release.digest) == (candidate.release, candidate.digest):
            return offer.release
        if record.state in ("space", "fetch"):
            return self._taken(record, offer) or NothingNew()
        # Only its release says what its files must be, and what it may cost.
        return Corrupt(f"release {candidate.release} is no longer offered, and was not yet tried here")

    def _why_not_here(self, release: Release) -> str:
        try:
            check_agent(release)
        except UpdateError as error:
            return str(error)
        return ""

    def _why_no_fit(self, slot: Slot) -> str:
        try:
            self._tools.fit(self._place.slot(slot), self._users, self._config)
        except UpdateError as error:
            return str(error)
        return ""

    def _brought(self, slot: Slot, entries: Iterable[FileEntry]) -> str:
        """Fetch files into a slot; return what speaks against the release."""
        for entry in entries:
            partial = self.store.partial(entry)
            try:
                with self._tools.watch(self._model, entry, partial):
                    self._repository().fetch(self._model, entry, partial)
            except TransportError:
                raise  # goes on at the next visit
            except UpdateError as error:
                return str(error)
            self.store.place(slot, entry)
        return ""
