"""The candidates that are being tried: each in its trial has a witness, each in its shadow runs beside.

It says what they have shown (`seen`) and why one must not stay (`failures`); what follows of that is up to
`updates`. One thread, the supervisor's, but for `tell`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from vedette_edge.assembly import Assembled
from vedette_edge.config import AgentConfig, check_cameras, decision_for
from vedette_edge.engine import Model, load_beside
from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.errors import BrokerError, OutboxError, UpdateError, VideoError
from vedette_edge.judges import Verdict
from vedette_edge.manifest import Decision
from vedette_edge.ota.bundles import with_bundles
from vedette_edge.ota.evidence import Evidence, Usual
from vedette_edge.ota.record import Installed
from vedette_edge.ota.shadow import Shadow
from vedette_edge.ota.witness import Witness, patience_of, why_too_slow
from vedette_edge.types import Frame

__all__ = ["Trials", "check_digest", "usual_of"]

_NOT_ITS_FAULT = (VideoError, OutboxError, BrokerError)


class Trials:
    """The candidates of one agent, by the name that the configuration gives the model."""

    def __init__(
        self, state_dir: Path, ledger: LedgerFile, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with none.

        Args:
            state_dir: the agent's.
            ledger: of the engine.
            clock: seconds; only rises.
        """
        self._state_dir = state_dir
        self._ledger = ledger
        self._clock = clock
        self._witnesses: dict[str, tuple[str, Witness]] = {}
        self._shadows: dict[str, tuple[str, Shadow]] = {}
        self._held = False

    def watch(self, candidates: Mapping[str, Installed], models: Mapping[str, Model]) -> None:
        """Watch the candidates that are on trial now, and no others.

        Args:
            candidates: those that run.
            models: that run.
        """
        before, self._witnesses = self._witnesses, {}
        for name, candidate in candidates.items():
            known = before.get(name)
            if known is not None and known[0] == candidate.digest:
                self._witnesses[name] = known
                continue
            spec = models[name].manifest.input
            patience = patience_of(models[name].every, spec.frames / spec.fps)
            self._witnesses[name] = (candidate.digest, Witness(patience, self._clock))

    def run_beside(self, config: AgentConfig, candidates: Mapping[str, tuple[Installed, Path]]) -> None:
        """Run the candidates that are to have a shadow now, and no others.

        Args:
            config: as it is written.
            candidates: with their directories.
        """
        for name, (digest, _) in [*self._shadows.items()]:
            if name not in candidates or candidates[name][0].digest != digest:
                self._end(name, patience=0.0)
        for name, (candidate, directory) in candidates.items():
            if name not in self._shadows:
                shadow = self._shadow(name, candidate, with_bundles(config, {name: directory}))
                shadow.held = self._held
                self._shadows[name] = (candidate.digest, shadow)

    def hold(self, on: bool) -> None:
        """Let shadows rest as long as the device must be spared."""
        self._held = on
        for _, shadow in self._shadows.values():
            shadow.held = on

    def tell(self, camera: str, model: Model, frame: Frame | None, verdicts: Sequence[Verdict]) -> None:
        """Take what a model was shown, and said; from the thread of its camera.

        Args:
            camera: its name.
            model: that alarms.
            frame: None: the stream ended.
            verdicts: that it gave at it.
        """
        digest, witness = self._witnesses.get(model.name, ("", None))
        if witness is not None and digest == model.bundle.digest and frame is not None:
            witness.saw(verdicts)
        _, shadow = self._shadows.get(model.name, ("", None))
        if shadow is not None:
            shadow.show(camera, frame, verdicts, model.manifest)

    def failures(
        self, models: Mapping[str, Model], cameras: Sequence[Assembled]
    ) -> Iterator[tuple[str, str]]:
        """Yield the candidates that must not stay, and why.

        Args:
            models: that run.
            cameras: that run.
        """
        for name, witness, model in self._on_trial(models):
            why = model.failure or witness.trouble or _what_ended(name, cameras)
            if why:
                yield name, why
        for name, (_, shadow) in [*self._shadows.items()]:
            if shadow.failed:
                yield name, shadow.failed

    def slow(
        self,
        models: Mapping[str, Model],
        cameras: Sequence[Assembled],
        evidence: Mapping[str, Evidence],
    ) -> Iterator[tuple[str, str]]:
        """Yield the candidates on trial that are too slow for this device, and why.

        Args:
            models: that run.
            cameras: that run.
            evidence: of the candidates.
        """
        for name, _, model in self._on_trial(models):
            calls = model.session.durations.percentiles()
            usual = evidence[name].usual if name in evidence else None
            why = why_too_slow(calls.count, calls.p95, _dropped(name, cameras), usual)
            if why:
                yield name, why

    def seen(
        self, models: Mapping[str, Model], evidence: Mapping[str, Evidence]
    ) -> Iterator[tuple[str, Evidence]]:
        """Yield evidence with what the candidates have shown so far.

        Args:
            models: that run.
            evidence: of the candidates, as it was written last.
        """
        for name, witness, model in self._on_trial(models):
            if name in evidence:
                p95 = model.session.durations.percentiles().p95
                figures = {"seconds": witness.seconds, "verdicts": witness.verdicts, "p95_ms": p95}
                yield name, evidence[name].model_copy(update=figures)
        for name, (_, shadow) in [*self._shadows.items()]:
            if name in evidence:
                compared = shadow.figures
                figures = {"seconds": shadow.seconds, "verdicts": shadow.verdicts, "p95_ms": compared.p95_ms}
                yield name, evidence[name].model_copy(update=figures | {"shadow": compared})

    def close(self) -> None:
        """End the shadows."""
        for name in [*self._shadows]:
            self._end(name)

    def _on_trial(self, models: Mapping[str, Model]) -> Iterator[tuple[str, Witness, Model]]:
        for name, (digest, witness) in [*self._witnesses.items()]:
            model = models.get(name)
            if model is not None and model.bundle.digest == digest:
                yield name, witness, model

    def _shadow(self, name: str, candidate: Installed, config: AgentConfig) -> Shadow:
        cameras = {camera.id: camera for camera in config.cameras}
        # Of no model: such names have no spaces.
        beside = f"{name} (shadow)"

        def load() -> Model:
            model = load_beside(beside, config.every_model[name], self._state_dir, self._ledger)
            check_digest(name, model, candidate)
            check_cameras(config, {name: model.manifest})
            return model

        def decision(camera: str, defaults: Decision) -> Decision:
            return decision_for(cameras[camera], defaults)

        return Shadow(name, load, decision, partial(self._ledger.forget, beside), self._clock)

    def _end(self, name: str, patience: float = 2.0) -> None:
        _, shadow = self._shadows.pop(name)
        shadow.close(patience)


def check_digest(name: str, model: Model, wanted: Installed) -> None:
    """Tell whether a candidate is the one that its record names.

    Raises:
        UpdateError: when not.
    """
    if model.bundle.digest == wanted.digest:
        return
    error = UpdateError(
        f"{model.bundle.directory} holds the bundle {model.bundle.digest[:12]}..., and its record says "
        f"{wanted.digest[:12]}...; `edge-agent ota look` mends the store"
    )
    error.model = name
    raise error


def usual_of(name: str, model: Model, cameras: Sequence[Assembled]) -> Usual | None:
    """Return what a model takes here; None where it has not judged yet."""
    calls = model.session.durations.percentiles()
    return Usual(p95_ms=calls.p95, dropped=_dropped(name, cameras)) if calls.count else None


def _what_ended(name: str, cameras: Sequence[Assembled]) -> str:
    """Return what has ended a camera that a model judges, where it may have been the model."""
    for one in cameras:
        error = one.camera.error
        if error is not None and name in one.watching and not isinstance(error, _NOT_ITS_FAULT):
            return f"camera '{one.config.id}' ended with it: {error}"
    return ""


def _dropped(name: str, cameras: Sequence[Assembled]) -> float:
    """Return the share of the frames of a model's cameras for which there was no time."""
    judged = [one.camera for one in cameras if name in one.watching]
    frames = sum(camera.frames for camera in judged)
    return min(1.0, sum(camera.dropped for camera in judged) / frames) if frames else 0.0
