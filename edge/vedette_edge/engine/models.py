"""A model that runs: a bundle of which one variant is in force, and others stand by."""

from __future__ import annotations

import logging
from functools import partial

from vedette_edge.bundle import Bundle
from vedette_edge.choice import Candidate
from vedette_edge.config import TriggerConfig
from vedette_edge.engine.loader import Loader
from vedette_edge.engine.shared import SharedSession, SharedStreams
from vedette_edge.engine.standby import Standby, StandbySession, StandbyStreams, SteadyJudge
from vedette_edge.errors import VedetteError
from vedette_edge.judges import ClipJudge, Judge, Pace, PictureJudge, StreamJudge
from vedette_edge.manifest import Decision, Manifest, Variant
from vedette_edge.probabilities import Scale

__all__ = ["Model"]

_log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds
_TIMES_P95 = 20


class Model:
    """One model for all cameras."""

    def __init__(
        self, name: str, bundle: Bundle, standby: Standby, loader: Loader, trigger: TriggerConfig | None
    ) -> None:
        """Run what `standby` holds.

        Args:
            name: in the configuration.
            bundle: the model.
            standby: what is in force, and what comes when that fails.
            loader: loads other variants.
            trigger: when a model of single pictures judges; None: each sampled frame.
        """
        self.name = name
        self.bundle = bundle
        self._standby = standby
        self._loader = loader
        self._trigger = trigger
        self._usual: Candidate | None = None

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def variant(self) -> Variant:
        """The variant that is in force."""
        return self._standby.running.candidate.variant

    @property
    def session(self) -> SharedSession | SharedStreams:
        """What all cameras share of it now."""
        return self._standby.running.shared

    @property
    def failure(self) -> str:
        """Why it had to leave a variant that failed in an inference; "" as long as none did."""
        return self._standby.failure

    def stuck(self, now: float) -> str:
        """Return how long an inference has hung at `time.monotonic()` = `now`; "" where none does."""
        seconds = self.session.turns.longest(now)
        if seconds <= _PATIENCE or seconds <= _TIMES_P95 * self.session.durations.percentiles().p95 / 1000:
            return ""
        return f"an inference hung for {seconds:.0f} s"

    @property
    def every(self) -> float | None:
        """Seconds from one verdict to the next on a steady stream; None: only when it is asked."""
        if self.manifest.task != "anomaly" or self._trigger is None:
            return self.manifest.decision.hop / self.manifest.input.fps
        return self._trigger.every

    @property
    def rate(self) -> float:
        """Frames per second of which it takes samples."""
        every = self._trigger.every if self._trigger and self.manifest.task == "anomaly" else None
        return 1 / every if every else self.manifest.input.fps

    def describe(self) -> dict[str, str]:
        """Return what runs, for the node's self-description."""
        candidate = self._standby.running.candidate
        return {
            "name": self.name,
            "model": self.manifest.name,
            "variant": candidate.variant.name,
            "runtime": candidate.variant.runtime,
            "precision": candidate.variant.precision,
            "mode": candidate.variant.mode,
            "provider": candidate.providers[0],
            "digest": self.bundle.digest,
        }

    def spare(self, on: bool) -> None:
        """Run the variant that costs least, also where the configuration wishes another; or its own again.

        Nothing happens where none was measured to cost less. What cannot be loaded is logged, and what runs
        goes on. It is loaded in the calling thread, the same each time, while the cameras go on.

        Args:
            on: spare the device; or no more.
        """
        if on == (self._usual is not None):
            return
        running = self._standby.running.candidate
        wished = [self._usual] if self._usual else self._loader.cheaper(running)
        if not wished:
            return
        why = "to spare the device" if on else "the device is spared no more"
        try:
            self._standby.switch(partial(self._loader.first, wished), why)
        except VedetteError as error:
            _log.warning("model '%s' keeps its variant: %s", self.name, error)
            return
        self._usual = running if on else None

    def judge(self, decision: Decision) -> Judge:
        """Begin to judge one camera; of task anomaly that is a `PictureJudge`."""
        scale = Scale.of(self.manifest, decision.temperature)
        if self.manifest.task == "anomaly":
            spec = self.manifest.input
            every = self._trigger.every if self._trigger else 1 / spec.fps
            return PictureJudge(spec, scale, StandbySession(self._standby), every=every)
        return SteadyJudge(partial(self._judge_of_mode, decision.hop, scale, Pace()))

    def _judge_of_mode(self, hop: int, scale: Scale, pace: Pace) -> Judge:
        spec = self.manifest.input
        if isinstance(self.session, SharedStreams):
            return StreamJudge(spec, hop, scale, StandbyStreams(self._standby, spec.frames), pace)
        return ClipJudge(spec, hop, scale, StandbySession(self._standby), pace)
