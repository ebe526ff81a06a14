"""Builds one camera of the running agent from its section of the configuration."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from vedette_edge.camera import Camera
from vedette_edge.capture import Status, open_capture
from vedette_edge.config import AgentConfig, CameraConfig, decision_for, rules_for
from vedette_edge.config.gate import DriftConfig
from vedette_edge.drift.monitor import DriftMonitor
from vedette_edge.drift.reporter import DriftReporter
from vedette_edge.drift.samples import SampleKeeper, UnsureSample
from vedette_edge.engine import Model
from vedette_edge.errors import UsageError
from vedette_edge.events import EventWriter
from vedette_edge.gate import MotionGate
from vedette_edge.ids import new_ulid
from vedette_edge.judges import Judge, PictureJudge, Verdict
from vedette_edge.operation.governor import Step
from vedette_edge.operation.overview import Overview
from vedette_edge.operation.timing import QueueClock, TimedGate
from vedette_edge.pipeline import Pipeline, Stage
from vedette_edge.publish.base import Message, MessageSink
from vedette_edge.recording import Keeper
from vedette_edge.stills import encode
from vedette_edge.tamper import TamperDetector, TamperGuard
from vedette_edge.topics import Topics
from vedette_edge.watcher import Watcher
from vedette_edge.zones import Zones

__all__ = ["Assembled", "Assembler", "OnVerdict", "Tap"]

Tap: TypeAlias = Callable[[str, Model, Judge], Judge]
"""Gives the judge of (camera, model) in whose place it judges, such as one that also tells of it."""

OnVerdict: TypeAlias = Callable[[str, Model, Verdict], None]
"""Told of (camera, model, verdict)."""


@dataclass(frozen=True, slots=True)
class _Watching:
    """One model on one camera."""

    model: Model
    judge: Judge
    writer: EventWriter
    watcher: Watcher


@dataclass(slots=True)
class Assembled:
    """A camera, and what commands and the governor turn.

    Attributes:
        config: its section of the configuration.
        camera: its threads.
        watching: by the model's name.
    """

    config: CameraConfig
    camera: Camera
    watching: Mapping[str, _Watching]

    @property
    def watchers(self) -> list[Watcher]:
        """The watchers of all its models."""
        return [one.watcher for one in self.watching.values()]

    def heed(self, step: Step) -> None:
        """Judge and draw as often as a step of the governor allows."""
        for one in self.watching.values():
            one.judge.set_hop_factor(step.hop_factor)
            one.writer.set_picture_interval(step.picture_interval)

    def set_threshold(self, label: str, value: float, model: str | None) -> list[str]:
        """Let events of a label begin at another score; return the models that took it.

        Raises:
            UsageError: when no model here raises events of that label.
        """
        taken = []
        for name, one in self._asked(model).items():
            labels = [each.name for each in one.model.manifest.labels]
            if label not in labels:
                continue
            try:
                one.watcher.set_threshold(labels.index(label), value)
            except ValueError:
                continue
            taken.append(name)
        if not taken:
            raise UsageError(f"camera '{self.config.id}': no model raises events of label '{label}' here")
        return taken

    def trigger(self, model: str | None) -> list[str]:
        """Have the models of single pictures judge the next frame; return which do.

        Raises:
            UsageError: when there is none.
        """
        judges = {name: one.judge for name, one in self._asked(model).items()}
        pictured = {name: judge for name, judge in judges.items() if isinstance(judge, PictureJudge)}
        if not pictured:
            raise UsageError(f"camera '{self.config.id}': no model judges single pictures here")
        for judge in pictured.values():
            judge.trigger()
        return list(pictured)

    def _asked(self, model: str | None) -> Mapping[str, _Watching]:
        if model is None:
            return self.watching
        if model not in self.watching:
            known = ", ".join(self.watching)
            raise UsageError(f"camera '{self.config.id}' has no model '{model}'; it has: {known}")
        return {model: self.watching[model]}


class Assembler:
    """Builds cameras of one run of the agent."""

    def __init__(
        self,
        *,
        topics: Topics,
        boot: str,
        sink: MessageSink,
        announce: Callable[[Message], None],
        drift: DriftConfig,
        keeper: Keeper,
        overview: Overview,
        on_status: Callable[[str, Status, str], None],
        on_verdict: OnVerdict | None,
        tap: Tap = lambda _camera, _model, judge: judge,
    ) -> None:
        """Build for one node.

        Args:
            topics: of the node.
            boot: names this run of the agent.
            sink: keeps the messages.
            announce: sends a retained message.
            drift: whether and how drift is measured.
            keeper: makes recorders and redactors.
            overview: is told of everything.
            on_status: told of (camera, status, reason).
            on_verdict: told of each verdict.
            tap: gives the judges that the watchers get.
        """
        self._tap = tap
        self._topics = topics
        self._boot = boot
        self._sink = sink
        self._announce = announce
        self._drift = drift
        self._keeper = keeper
        self._overview = overview
        self._on_status = on_status
        self._on_verdict = on_verdict
        # One count for the node, whatever cameras come and go.
        self.next_seq = itertools.count(1).__next__

    def build(self, config: AgentConfig, camera: CameraConfig, models: Mapping[str, Model]) -> Assembled:
        """Build a camera; nothing runs yet.

        Raises:
            ConfigError: when its settings do not fit its models, or a detector for its privacy is missing.
        """
        watching = {name: self._watch(camera, models[name]) for name in config.models_of(camera)}
        rates = self._rates(camera, [one.model for one in watching.values()])
        running = Camera(
            camera.id,
            lambda pause: open_capture(camera, pause, partial(self._on_status, camera.id), rates),
            self._pipeline(camera, watching),
            self._sink,
            pressure=camera.pressure,
            on_status=self._on_status,
            on_messages=partial(self._on_messages, camera.id),
        )
        return Assembled(camera, running, watching)

    def _rates(self, camera: CameraConfig, models: Sequence[Model]) -> list[float]:
        """Return at which rates anybody takes frames; none where each is looked at."""
        if camera.capture.frames == "all" or camera.gate.enabled:
            return []
        return [*(model.rate for model in models), *self._keeper.rates]

    def rebuild(
        self, old: Assembled, config: AgentConfig, camera: CameraConfig, models: Mapping[str, Model]
    ) -> Assembled:
        """Have a running camera watch by other rules from its next frame on; its capture goes on.

        Raises:
            ConfigError: as `build`.
        """
        watching = {name: self._watch(camera, models[name]) for name in config.models_of(camera)}
        old.camera.follow(self._pipeline(camera, watching))
        return Assembled(camera, old.camera, watching)

    def _pipeline(self, camera: CameraConfig, watching: Mapping[str, _Watching]) -> Pipeline:
        guards: list[Stage] = [QueueClock(self._overview.stages.queue)]
        if camera.tamper.enabled:
            guards.append(self._tamper_guard(camera))
        gate = TimedGate(MotionGate(camera.gate), self._overview.stages.gate) if camera.gate.enabled else None
        return Pipeline(
            [one.watcher for one in watching.values()],
            gate=gate,
            guards=guards,
            recorders=self._keeper.recorders(camera),
        )

    def _tamper_guard(self, camera: CameraConfig) -> TamperGuard:
        redactor, bound = self._keeper.redactor(camera), self._keeper.style.max_bytes
        return TamperGuard(
            TamperDetector(camera.tamper),
            topics=self._topics,
            camera=camera.id,
            boot=self._boot,
            next_seq=self.next_seq,
            new_id=new_ulid,
            encode=lambda image: encode(redactor.redact(image), max_bytes=bound).data,
        )

    def _watch(self, camera: CameraConfig, model: Model) -> _Watching:
        manifest = model.manifest
        writer = EventWriter(
            topics=self._topics,
            camera=camera.id,
            labels=[label.name for label in manifest.labels],
            spec=manifest.input,
            outputs=manifest.outputs,
            model_sha256=model.bundle.digest,
            boot=self._boot,
            next_seq=self.next_seq,
            new_id=new_ulid,
            style=self._keeper.style,
            redactor=self._keeper.redactor(camera),
        )
        judge = model.judge(decision_for(camera, manifest.decision))
        watcher = Watcher(
            judge=self._tap(camera.id, model, judge),
            rules=rules_for(camera, manifest),
            events=writer,
            zones=Zones(camera.zones, manifest.input, manifest.outputs),
            live=camera.source.live,
            now=time.time,
            on_verdict=self._listener(camera, model),
            spent=self._overview.stages.decide,
        )
        return _Watching(model, judge, writer, watcher)

    def _listener(self, camera: CameraConfig, model: Model) -> Callable[[Verdict], None] | None:
        """Return what is told of each verdict, if anything is."""
        listeners: list[Callable[[Verdict], None]] = []
        if self._on_verdict is not None:
            listeners.append(partial(self._on_verdict, camera.id, model))
        reference = model.manifest.statistics
        if self._drift.enabled and reference is not None:
            listeners.append(
                DriftReporter(
                    DriftMonitor(model.manifest, reference, self._drift.window),
                    topics=self._topics,
                    camera=camera.id,
                    model=model.name,
                    model_sha256=model.bundle.digest,
                    boot=self._boot,
                    publish=self._announce,
                )
            )
        if self._keeper.samples is not None:
            listeners.append(partial(self._offer, self._keeper.samples, camera.id, model))
        if not listeners:
            return None

        def tell(verdict: Verdict) -> None:
            for listener in listeners:
                listener(verdict)

        return tell

    def _offer(self, samples: SampleKeeper, camera: str, model: Model, verdict: Verdict) -> None:
        manifest = model.manifest
        labels = [label.name for label in manifest.labels]
        sample = UnsureSample(
            camera, model.name, model.bundle.digest, labels, manifest.input.fps, time.time(), verdict
        )
        samples.offer(sample)

    def _on_messages(self, camera: str, messages: Sequence[Message]) -> None:
        self._overview.note_messages(camera, messages)
        self._keeper.keep(messages)
