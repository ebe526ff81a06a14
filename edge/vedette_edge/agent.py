"""Wires the parts together; starts and stops them in order. What they do is their own business.

Start: bundle, golden samples, outbox, broker if embedded, link, cameras. Nothing starts before the model
has proved itself. Stop: captures, inference (active events end), outbox drained, last metrics,
`disconnected`. An absent broker stops nothing; only at the very end of files does it matter.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from vedette_edge.broker import EmbeddedBroker
from vedette_edge.camera import Camera
from vedette_edge.config import AgentConfig, CameraConfig, MqttConfig, alarm_labels, decision_for
from vedette_edge.engine import Model, load_models
from vedette_edge.errors import BrokerError, ConfigError, DataError, VideoError
from vedette_edge.events import JPEG, EventWriter, PictureStyle
from vedette_edge.health import Notifier, Watchdog
from vedette_edge.ids import new_ulid
from vedette_edge.judges import Verdict
from vedette_edge.metrics import resident_bytes
from vedette_edge.pictures import Pairing, save_picture
from vedette_edge.pipeline import Pipeline
from vedette_edge.publish.announce import Announcer, Description
from vedette_edge.publish.base import Message
from vedette_edge.publish.mqtt import MqttLink
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import Broker, Tls
from vedette_edge.sources import open_source
from vedette_edge.topics import BirthCamera, BirthModel, Metrics, Topics, parse_event
from vedette_edge.watcher import Watcher

__all__ = ["Agent", "broker_of", "run_agent"]

_log = logging.getLogger(__name__)

_TICK = 0.1  # seconds between two looks of the supervisor
_DRAIN_TICK = 0.02
OnVerdict: TypeAlias = Callable[[str, str, Verdict], None]
"""Told of (camera, model, verdict)."""

_PATIENCE = 10.0  # seconds for the cameras to finish what they have in hand


def run_agent(
    config: AgentConfig, *, scores: Path | None = None, embedded: tuple[str, int] | None = None
) -> None:
    """Watch until all sources have ended, or SIGTERM or SIGINT comes; call it from the main thread.

    Args:
        config: what to watch, and where to tell of it.
        scores: write one JSON line a window to this file.
        embedded: (host, port) on which to run a broker of our own.

    Raises:
        VedetteError: when the agent cannot start, no camera could deliver, or messages remain undelivered
            after all files have ended.
    """
    models = load_models(config)
    with contextlib.ExitStack() as stack:
        on_verdict = stack.enter_context(_score_log(scores, models)) if scores else None
        outbox = Outbox(
            config.state_dir / "outbox.db",
            gap_topic=Topics(config.site, config.node).gap,
            max_bytes=config.outbox.max_bytes,
            spare_bytes=config.outbox.spare_bytes,
        )
        stack.callback(outbox.close)
        broker = broker_of(config.mqtt)
        if embedded is not None:
            stack.enter_context(EmbeddedBroker(*embedded))
            broker = Broker(*embedded, protocol="3.1.1", keepalive=config.mqtt.keepalive)
            _log.info("embedded broker on %s; it speaks MQTT 3.1.1, so that is used", broker)
        agent = Agent(config, models, outbox, broker, on_verdict)
        stack.enter_context(_signals_caught(agent.stop))
        agent.run()


def broker_of(mqtt: MqttConfig) -> Broker:
    """Return where the broker is, from its section of the configuration."""
    tls = None if mqtt.tls is None else Tls(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
    return Broker(mqtt.host, mqtt.port, mqtt.protocol, mqtt.username, mqtt.password_file, tls, mqtt.keepalive)


class Agent:
    """The running whole: cameras, link, watchdog."""

    def __init__(
        self,
        config: AgentConfig,
        models: Mapping[str, Model],
        outbox: Outbox,
        broker: Broker,
        on_verdict: OnVerdict | None = None,
    ) -> None:
        """Wire the parts; nothing runs before `run`.

        Raises:
            ConfigError: when a camera's settings do not fit the model, or a credential cannot be used.
        """
        self._config = config
        self._models = models
        self._outbox = outbox
        self._broker = broker
        self._boot = secrets.token_hex(8)
        self._topics = Topics(config.site, config.node)
        self._announcer = Announcer(self._topics, self._boot, self._describe, time.time)
        self._link = MqttLink(
            broker,
            f"vedette-{config.site}-{config.node}",
            outbox,
            self._announcer,
            Sessions(config.state_dir / "session"),
            late_per_second=config.outbox.late_per_second,
        )
        next_seq = itertools.count(1).__next__
        outbox.end_left_open(self._boot, next_seq)
        self._watchers: list[Watcher] = []
        self._cameras = [self._make_camera(camera, next_seq, on_verdict) for camera in config.cameras]
        self._notifier = Notifier()
        beats = [beat for camera in self._cameras for beat in camera.heartbeats]
        self._watchdog = Watchdog(self._notifier, [*beats, self._link.heartbeat])
        self._stops = 0
        self._began = time.monotonic()
        self._next_metrics = self._began + config.metrics_interval

    def stop(self) -> None:
        """Ask the agent to end, from any thread or signal handler; a second time, not to wait any more."""
        self._stops += 1

    def run(self) -> None:
        """Watch until told to stop, or all sources have ended.

        Raises:
            VedetteError: as `run_agent` says.
        """
        self._link.start()
        for camera in self._cameras:
            camera.start()
        self._notifier.send("READY=1", f"STATUS=watching {len(self._cameras)} camera(s)")
        self._wait(lambda: self._stops > 0 or self._over(), float("inf"), _TICK)
        self._notifier.send("STOPPING=1", "STATUS=delivering what is left")
        for camera in self._cameras:
            camera.stop()
        self._wait(lambda: all(camera.finished for camera in self._cameras), _PATIENCE, _DRAIN_TICK)
        self._link.hurry()
        self._wait(self._delivered, self._config.drain_timeout, _DRAIN_TICK)
        self._link.tell(self._announcer.metrics(self._measure()))
        self._link.close()
        self._raise_failures()
        self._account_for_the_rest()

    def _over(self) -> bool:
        fatal = any(camera.error and not isinstance(camera.error, VideoError) for camera in self._cameras)
        return fatal or self._link.error is not None or all(camera.finished for camera in self._cameras)

    def _delivered(self) -> bool:
        return self._link.error is not None or (self._link.tried and len(self._outbox) == 0)

    def _wait(self, done: Callable[[], bool], seconds: float, tick: float) -> None:
        """Supervise until `done`, at most `seconds`, or until a second call of `stop`."""
        until = time.monotonic() + seconds
        while not done() and self._stops < 2 and (now := time.monotonic()) < until:
            self._watchdog.tick(now)
            if now >= self._next_metrics:
                self._next_metrics = now + self._config.metrics_interval
                self._link.tell(self._announcer.metrics(self._measure()))
            time.sleep(tick)

    def _raise_failures(self) -> None:
        errors = [camera.error for camera in self._cameras if camera.error is not None]
        for error in [self._link.error, *errors]:
            if error is not None and not isinstance(error, VideoError):
                raise error
        if errors and all(camera.error and camera.frames == 0 for camera in self._cameras):
            raise VideoError("no camera gave a picture: " + "; ".join(map(str, errors)))

    def _account_for_the_rest(self) -> None:
        left = len(self._outbox)
        if not left:
            return
        kept = f"they are kept in {self._config.state_dir / 'outbox.db'} and will be sent at the next start"
        sentence = (
            f"the MQTT broker at {self._broker} did not take {left} message(s) within "
            f"{self._config.drain_timeout:g} s; {self._outbox.trouble or kept}"
        )
        if not self._stops:
            raise BrokerError(sentence)
        _log.warning("%s", sentence)

    def _measure(self) -> Metrics:
        return Metrics(
            ts=time.time(),
            boot=self._boot,
            uptime=round(time.monotonic() - self._began, 3),
            frames=sum(camera.frames for camera in self._cameras),
            dropped=sum(camera.dropped for camera in self._cameras),
            windows=sum(watcher.windows for watcher in self._watchers),
            events=sum(camera.events for camera in self._cameras),
            outbox=len(self._outbox),
            inference_ms=self._some_model.session.durations.percentiles(),
            publish_ms=self._link.latency.percentiles(),
            rss_bytes=resident_bytes(),
        )

    def _describe(self) -> Description:
        models = [
            BirthModel(
                name=name,
                title=model.manifest.name,
                sha256=model.bundle.digest,
                variant=model.variant.name,
                runtime=model.variant.runtime,
                mode=model.variant.mode,
                labels=tuple(label.name for label in model.manifest.labels),
            )
            for name, model in self._models.items()
        ]
        cameras = [BirthCamera(id=camera.id, source=camera.source.type) for camera in self._config.cameras]
        return Description(tuple(models), tuple(cameras))

    @property
    def _some_model(self) -> Model:
        return next(iter(self._models.values()))

    def _make_camera(
        self, camera: CameraConfig, next_seq: Callable[[], int], on_verdict: OnVerdict | None
    ) -> Camera:
        snapshots, source = self._config.snapshots, camera.source
        watchers = [
            self._make_watcher(camera, self._models[name], next_seq, on_verdict)
            for name in self._config.models_of(camera)
        ]
        self._watchers += watchers
        return Camera(
            camera.id,
            partial(open_source, source.type, source.model_dump(exclude={"type"})),
            Pipeline(watchers),
            self._link,
            pressure=camera.pressure,
            on_status=lambda name, status, why: self._link.announce(
                self._announcer.status(name, status, why)
            ),
            on_messages=partial(_archive, snapshots.directory) if snapshots.directory else None,
        )

    def _make_watcher(
        self, camera: CameraConfig, model: Model, next_seq: Callable[[], int], on_verdict: OnVerdict | None
    ) -> Watcher:
        manifest, snapshots = model.manifest, self._config.snapshots
        events = EventWriter(
            topics=self._topics,
            camera=camera.id,
            labels=[label.name for label in manifest.labels],
            spec=manifest.input,
            outputs=manifest.outputs,
            model_sha256=model.bundle.digest,
            boot=self._boot,
            next_seq=next_seq,
            new_id=new_ulid,
            style=PictureStyle(snapshots.quality, snapshots.max_bytes, snapshots.alpha),
        )
        decision = decision_for(camera, manifest.decision)
        return Watcher(
            judge=model.judge(decision),
            decision=decision,
            labels=alarm_labels(camera, manifest),
            events=events,
            on_verdict=partial(on_verdict, camera.id, model.name) if on_verdict else None,
        )


def _archive(directory: Path, messages: Sequence[Message]) -> None:
    pairing = Pairing()
    for message in messages:
        if message.content_type == JPEG:
            pairing.add(message.payload)
            continue
        event = parse_event(message.payload)
        jpeg = pairing.of(event)
        if jpeg is None:
            continue
        try:
            save_picture(directory, event, jpeg)
        except OSError as error:
            _log.warning("cannot keep a picture in %s: %s", directory, error)


@contextlib.contextmanager
def _score_log(path: Path, models: Mapping[str, Model]) -> Iterator[OnVerdict]:
    names = {name: [label.name for label in model.manifest.labels] for name, model in models.items()}

    def write(camera: str, model: str, verdict: Verdict) -> None:
        scores = zip(names[model], verdict.probabilities, strict=True)
        line = {
            "camera": camera,
            "model": model,
            "start": round(verdict.start, 6),
            "end": round(verdict.end, 6),
            "middle": round(verdict.middle, 6),
            "probabilities": {name: round(float(value), 6) for name, value in scores},
        }
        try:
            file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise DataError(f"{path}: cannot write the scores ({error.strerror})") from error

    try:
        # Unbuffered: each line is there as soon as its window was judged, for `tail -f`.
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise ConfigError(f"{path}: cannot write the scores there ({error.strerror})") from error
    with file:
        yield write


@contextlib.contextmanager
def _signals_caught(stop: Callable[[], None]) -> Iterator[None]:
    caught = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop()) for number in caught]
    try:
        yield
    finally:
        for number, handler in zip(caught, before, strict=True):
            signal.signal(number, handler)
