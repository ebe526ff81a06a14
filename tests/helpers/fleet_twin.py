"""A thousand nodes in one process: real records, real state machine, real reports; time and faults are told.

A few of them ask the repository as a device does, each time; the others take what those were given.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta

from release_helpers import NOW, Device, Site

from vedette_converters.release.control import Controller
from vedette_edge.config.ota import OtaConfig
from vedette_edge.ota.evidence import Evidence, ShadowFigures, slot_to_run
from vedette_edge.ota.machine import (
    Fetched,
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
    after,
    judge_trial,
    wanted,
)
from vedette_edge.ota.payloads import OtaReport
from vedette_edge.ota.record import Installed, Record
from vedette_edge.ota.release import Release, Rollout, takes_part
from vedette_edge.ota.reporting import model_report

CONFIG = OtaConfig(url="http://updates", fleet="gates", models=("people",))
ROUND = 60.0  # seconds
POLL = 15  # rounds from one look to the next, without a hint
SCOUTS = 3
OLD = Installed(slot="a", release=0, digest="1" * 64)


@dataclass
class Node:
    """One device. `fails` says in which state a candidate fails on it; "": in none."""

    name: str
    fails: str = ""
    record: Record = field(default_factory=lambda: Record(model="people", committed=OLD))
    evidence: Evidence | None = None
    seq_told: int = -1
    took_at: float | None = None

    def due(self, number: int) -> bool:
        place = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        return number % POLL == place % POLL or self.record.state in ("shadow", "trial")

    def visit(self, offer: tuple[Release, Rollout] | None, now: float) -> None:
        """Go on until something must be waited for, as the updater does."""
        if self.record.state == "idle":
            self._look(offer, now)
        while self.record.state in ("probe", "shadow", "switch", "trial", "commit", "rollback"):
            event = self._event(now)
            if event is None:
                return
            self._step(event, now)

    def _look(self, offer, now):
        self._step(Look(), now)
        if offer is None or not self._wants(*offer):
            self._step(NothingNew(), now)
            return
        release, rollout = offer
        self.took_at = now
        for event in (
            Offered(release.release, release.digest, rollout.campaign, CONFIG.tries),
            Fits(), Fetched(), Verified(), Probing(),
        ):  # fmt: skip
            self._step(event, now)

    def _wants(self, release, rollout):
        part = takes_part(rollout, self.name)
        return wanted(self.record, release.release, release.digest, part=part)

    def _event(self, now):
        match self.record.state:
            case "probe":
                return ProbeFailed("the golden samples differ") if self.fails == "probe" else Probed()
            case "switch":
                return Switched()
            case "commit" | "rollback":
                return Settled()
            case _:
                self.evidence = self._seen(now)
                return judge_trial(self.record, self.evidence, CONFIG, now)

    def _seen(self, now):
        """Say what an agent would have seen by now: it starts a round after the updater's step."""
        record = self.record
        seconds = max(0.0, now - record.since - ROUND)
        if not seconds:
            return None
        return Evidence(
            digest=record.candidate.digest,
            phase=record.state,
            starts=1,
            seconds=seconds,
            verdicts=round(seconds),
            failed="no verdict for 60 s" if self.fails == record.state else "",
            shadow=ShadowFigures(compared=round(seconds), agreed=round(seconds)),
            updated=now,
        )

    def _step(self, event, now):
        self.record = after(self.record, event, now)
        self.record = self.record.model_copy(update={"seq": self.record.seq + 1})

    @property
    def runs(self) -> Installed | None:
        """What alarms now."""
        slot = slot_to_run(self.record, self.evidence)
        known = (self.record.candidate, self.record.committed)
        return next((one for one in known if one is not None and one.slot == slot), None)

    def report(self, now: float) -> bytes | None:
        """Return what is told when something changed."""
        if self.record.seq == self.seq_told:
            return None
        self.seq_told = self.record.seq
        one = model_report(_Followed(self.record, self.evidence), ("people",), self.runs)
        return OtaReport(ts=now, boot="b", models=(one,)).model_dump_json().encode()


@dataclass
class _Followed:
    record: Record
    evidence: Evidence | None
    name: str = "people"


class Fleet:
    """All nodes, their broker, their repository and its control."""

    def __init__(self, site: Site, nodes: list[Node]) -> None:
        self.site, self.nodes = site, nodes
        self.now, self.number = NOW, 0
        self.scouts = [Device(site) for _ in range(SCOUTS)]
        self.requests = 0
        self._waiting: list[tuple[str, bytes]] = []
        self._hinted: set[str] = set()
        self.shares: list[float] = []
        self.controller = Controller(
            site.repository, "gates", "people", signers=site.signers.get, room=self, clock=lambda: self.now
        )

    def heard(self):
        waiting, self._waiting = self._waiting, []
        return waiting

    def say(self, topic, payload):
        assert json.loads(payload)["campaign"]
        self._hinted.add(topic.split("/")[3])

    def turn(self):
        """Let a minute pass; return what the control did."""
        self.now += timedelta(seconds=ROUND)
        self.number += 1
        now = self.now.timestamp()
        offers = [scout.current() for scout in self.scouts]
        assert all(offer == offers[0] for offer in offers)
        self.requests += sum(len(scout.asked) for scout in self.scouts)
        hinted, self._hinted = self._hinted, set()
        for node in self.nodes:
            if node.name in hinted or node.due(self.number):
                node.visit(offers[0], now)
            payload = node.report(now)
            if payload is not None:
                self._waiting.append((f"vedette/v1/hall/{node.name}/ota/report", payload))
        step = self.controller.step()
        self.shares.append(step.state.share)
        return step

    def run(self, most: int = 2000):
        """Go on until the rollout is over."""
        for _ in range(most):
            step = self.turn()
            if step.over:
                return step
        raise AssertionError(f"not over after {most} minutes: {step}")
