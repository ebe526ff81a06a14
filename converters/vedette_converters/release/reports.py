"""What nodes say over MQTT of their updates (`ota/report`) and of themselves (`state`), and what that means.

Whoever may write there can make a rollout go on, wait or stop, and no more: what is installed, the signed
metadata say. What cannot be read is left out.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_converters.release.policy import Fate
from vedette_edge.topics import ROOT

__all__ = ["ModelReport", "Nodes", "desired_topic", "topics_of_interest"]

_MOST_BYTES = 262_144
_MOST_NODES = 100_000
# What a node says of itself when nobody can wait for it.
_ABSENT = frozenset({"lost", "disconnected", "sleeping"})


class _Heard(BaseModel):
    # A newer agent may say more.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Installed(_Heard):
    release: int
    campaign: str = ""


class _Outcome(_Installed):
    result: str


class ModelReport(_Heard):
    """Where the update of one model stands: of `vedette_edge.ota.payloads.ModelReport`, what matters here."""

    model: str = Field(max_length=64)
    runs: _Installed | None = None
    candidate: _Installed | None = None
    outcome: _Outcome | None = None

    def fate(self, release: int, campaign: str) -> Fate:
        """Return what became of a release here, in its campaign."""

        def is_it(one: _Installed | None) -> bool:
            return one is not None and (one.release, one.campaign) == (release, campaign)

        if is_it(self.candidate):
            return "begun"
        if self.outcome is not None and is_it(self.outcome):
            return "succeeded" if self.outcome.result == "committed" else "failed"
        return "succeeded" if is_it(self.runs) else "waiting"


class _Report(_Heard):
    models: tuple[ModelReport, ...] = ()


class _State(_Heard):
    state: str


class Nodes:
    """The latest of what each node said."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self._reports: dict[tuple[str, str], dict[str, ModelReport]] = {}
        self._absent: set[tuple[str, str]] = set()

    def hear(self, topic: str, payload: bytes) -> bool:
        """Take in a message; return whether it was one that matters here."""
        parts = topic.removeprefix(f"{ROOT}/").split("/", 2)
        if not topic.startswith(f"{ROOT}/") or len(parts) != 3 or len(payload) > _MOST_BYTES:
            return False
        node = parts[0], parts[1]
        if parts[2] == "ota/report":
            return self._hear_report(node, payload)
        if parts[2] == "state":
            return self._hear_state(node, payload)
        return False

    def fates(self, model: str, release: int, campaign: str) -> dict[str, Fate]:
        """Return what became of a release at each node that has the model, by SITE/NODE.

        Nodes that are gone and have not finished are left out: a wave does not wait for them.
        """
        found: dict[str, Fate] = {}
        for place, models in self._reports.items():
            if model not in models:
                continue
            fate = models[model].fate(release, campaign)
            if fate in ("succeeded", "failed") or place not in self._absent:
                found["/".join(place)] = fate
        return found

    def places(self) -> tuple[tuple[str, str], ...]:
        """Return (site, node) of each that has reported."""
        return tuple(sorted(self._reports))

    def _hear_report(self, node: tuple[str, str], payload: bytes) -> bool:
        if node not in self._reports and len(self._reports) >= _MOST_NODES:
            return False
        try:
            report = _Report.model_validate_json(payload)
        except ValidationError:
            return False
        self._reports[node] = {one.model: one for one in report.models}
        return True

    def _hear_state(self, node: tuple[str, str], payload: bytes) -> bool:
        try:
            state = _State.model_validate_json(payload).state
        except ValidationError:
            return False
        if state in _ABSENT:
            self._absent.add(node)
        else:
            self._absent.discard(node)
        return True


def topics_of_interest(site: str) -> tuple[str, ...]:
    """Return the filters of what is listened to; `site` may be `+`."""
    return f"{ROOT}/{site}/+/ota/report", f"{ROOT}/{site}/+/state"


def desired_topic(site: str, node: str) -> str:
    """Return where a node is asked to look now."""
    return f"{ROOT}/{site}/{node}/ota/desired"
