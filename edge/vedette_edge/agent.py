"""Wires the parts together; starts and stops them in order. What they do is their own business.

Start: bundles, golden samples, outbox, broker if embedded, link, cameras. Nothing starts before the models
have proved themselves. Stop: captures, inference (active events end), outbox drained, last metrics,
`disconnected`. An absent broker stops nothing; only at the very end of files does it matter.

One thread, the supervisor's (`run`), changes what runs: a reload, a command and the governor each only say
what shall run, and the fleet converges to it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.assembly import Assembler, OnVerdict
from vedette_edge.broker import EmbeddedBroker
from vedette_edge.capture import Status
from vedette_edge.config import AgentConfig, MqttConfig, load_config
from vedette_edge.control import AgentControl, Errands
from vedette_edge.engine import Engine
from vedette_edge.errors import BrokerError, UsageError, VedetteError, VideoError
from vedette_edge.fleet import Fleet, effective
from vedette_edge.health import Notifier, Watchdog
from vedette_edge.introduction import announced_cameras, description
from vedette_edge.operation.governing import Governing
from vedette_edge.operation.governor import LADDER, Step
from vedette_edge.operation.overview import Overview, Parts
from vedette_edge.operation.reload import (
    Difference,
    apply_remote,
    difference,
    less_what_needs_a_restart,
    reload_config,
)
from vedette_edge.operation.sensors import Sensors, SystemSensors
from vedette_edge.operation.serving import served
from vedette_edge.ota.updates import Updates, begin
from vedette_edge.publish.announce import Announcer
from vedette_edge.publish.base import Message
from vedette_edge.publish.counts import ActiveCounts, CountingSink
from vedette_edge.publish.home_assistant import Greeter, discovery
from vedette_edge.publish.mqtt import MqttLink
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.routes import Route
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import Broker, Tls
from vedette_edge.recording import Keeper
from vedette_edge.remote.commander import Commander
from vedette_edge.remote.commands import Limits
from vedette_edge.remote.control import Outcome
from vedette_edge.remote.seen import Seen
from vedette_edge.score_log import score_log
from vedette_edge.signals import signals_caught
from vedette_edge.topics import ConfigReport, GovernorState, Topics

__all__ = ["Agent", "broker_of", "run_agent"]

_log = logging.getLogger(__name__)

_TICK = 0.1  # seconds between two looks of the supervisor
_DRAIN_TICK = 0.02
_PATIENCE = 10.0  # seconds for the cameras to finish what they have in hand
_HUNG = 70  # exit code where an inference hangs: EX_SOFTWARE of sysexits.h


def run_agent(path: Path, *, scores: Path | None = None, embedded: tuple[str, int] | None = None) -> None:
    """Watch until all sources have ended, or SIGTERM or SIGINT comes; call it from the main thread.

    SIGHUP has the configuration read again.

    Args:
        path: the configuration: what to watch, and where to tell of it.
        scores: write one JSON line a window to this file.
        embedded: (host, port) on which to run a broker of our own.

    Raises:
        VedetteError: when the agent cannot start, no camera could deliver, or messages remain undelivered
            after all files have ended.
    """
    config = load_config(path)
    changes = _Changes()
    updates, models = begin(config, changes.tell)
    with contextlib.ExitStack() as stack:
        on_verdict = stack.enter_context(score_log(scores)) if scores else None
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
        agent = Agent(config, models, outbox, broker, path=path, on_verdict=on_verdict, updates=updates)
        stack.callback(agent.close)
        changes.tell_of = agent.variant_changed
        served(stack, config, agent.overview)
        stack.enter_context(signals_caught(agent.stop, agent.hang_up))
        agent.run()


def broker_of(mqtt: MqttConfig) -> Broker:
    """Return where the broker is, from its section of the configuration."""
    tls = None if mqtt.tls is None else Tls(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
    return Broker(mqtt.host, mqtt.port, mqtt.protocol, mqtt.username, mqtt.password_file, tls, mqtt.keepalive)


@dataclass(slots=True)
class _Changes:
    """Passes on which variant took over, once there is somebody to tell."""

    tell_of: Callable[[str, str, str], None] | None = None

    def tell(self, model: str, variant: str, reason: str) -> None:
        if self.tell_of is not None:
            self.tell_of(model, variant, reason)


class Agent:
    """The running whole: cameras, link, watchdog, governor."""

    def __init__(
        self,
        config: AgentConfig,
        models: Engine,
        outbox: Outbox,
        broker: Broker,
        *,
        path: Path,
        on_verdict: OnVerdict | None = None,
        sensors: Sensors | None = None,
        updates: Updates | None = None,
    ) -> None:
        """Wire the parts; nothing runs before `run`.

        Args:
            config: the configuration.
            models: those that it names, loaded.
            outbox: keeps messages.
            broker: where they go.
            path: where the configuration is read again.
            on_verdict: told of each verdict.
            sensors: of the device; by default, its own.
            updates: of its models; by default, begun here.

        Raises:
            ConfigError: when a camera's settings do not fit the model, or a credential cannot be used.
        """
        self._config = config
        self._path = path
        self._models = models
        self._updates = updates or Updates(config, models.ledger)
        self._outbox = outbox
        self._broker = broker
        self._disabled: set[str] = set()
        self._step = LADDER[0]
        self._errands = Errands()
        self._boot = secrets.token_hex(8)
        self._topics = Topics(config.site, config.node)
        self._announcer = Announcer(
            self._topics,
            self._boot,
            lambda: description(self._config, self._models, self._updates.selection.running),
            time.time,
        )
        self._commander = Commander(
            self._topics,
            AgentControl(self, self._errands),
            Seen(config.state_dir / "commands"),
            lambda message, exchange: self._link.tell(message, exchange),
            limits=Limits(config.commands.clock_skew, config.commands.longest),
        )
        self._link = self._make_link()
        self._counts = ActiveCounts(self._topics)
        self.overview = self._make_overview()
        self._keeper = Keeper(config, self._topics)
        assembler = self._make_assembler(on_verdict)
        outbox.end_left_open(self._boot, assembler.next_seq)
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier, [self._link.heartbeat])
        self._fleet = Fleet(self._shall_run(), models, assembler, self._watchdog.watch, self._on_status)
        self._updates.took(models)
        self._governing = Governing(
            config.governor,
            sensors or SystemSensors(),
            self.overview,
            priorities=lambda: {camera.id: camera.priority for camera in self._config.cameras},
            on_step=self._on_step,
        )
        self._hups = self._stops = 0
        self._next_metrics = time.monotonic() + config.metrics_interval

    def stop(self) -> None:
        """Ask the agent to end, from any thread or signal handler; a second time, not to wait any more."""
        self._stops += 1

    def hang_up(self) -> None:
        """Ask the agent to read its configuration again, from any thread or signal handler."""
        self._hups += 1

    def variant_changed(self, model: str, variant: str, reason: str) -> None:
        """Tell that a variant of a model took the place of one that failed."""
        _log.warning("model '%s': variant '%s' takes over: %s", model, variant, reason)
        self.overview.note_failover(model)
        self._link.introduce()

    def run(self) -> None:
        """Watch until told to stop, or all sources have ended.

        Raises:
            VedetteError: as `run_agent` says.
        """
        self._link.start()
        self._greet(*(camera.id for camera in self._config.cameras))
        if self._config.commands.enabled:
            self._commander.start()
        self._fleet.start()
        self._notifier.send("READY=1", f"STATUS=watching {len(self._fleet.running)} camera(s)")
        self._wait(lambda: self._stops > 0 or self._over(), float("inf"), _TICK)
        self._notifier.send("STOPPING=1", "STATUS=delivering what is left")
        self._commander.close()
        self._fleet.stop()
        self._wait(lambda: self._fleet.ended, _PATIENCE, _DRAIN_TICK)
        self._link.hurry()
        self._keeper.stop()
        self._wait(lambda: self._keeper.finished, _PATIENCE, _DRAIN_TICK)
        self._wait(self._delivered, self._config.drain_timeout, _DRAIN_TICK)
        self._link.tell(self._announcer.metrics(self.overview.metrics()))
        self._link.close()
        self._raise_failures()
        self._account_for_the_rest()

    def close(self) -> None:
        """Say that the models that run now end as they should."""
        self._updates.close()
        self._models.close()

    def publish_snapshot(self, camera: str) -> int:
        """Publish a camera's latest frame; return its bytes.

        Raises:
            UsageError: when there is no such camera, or it has given no frame yet.
        """
        self._fleet.named(camera)
        message = self._keeper.latest[camera].message()
        if message is None:
            raise UsageError(f"camera '{camera}' has given no frame yet")
        self._link.tell(message)
        return len(message.payload)

    def set_enabled(self, camera: str, enabled: bool) -> None:
        """Watch a camera, or watch it no more until it is enabled or the agent starts again.

        Raises:
            UsageError: when there is no such camera.
        """
        if camera not in {one.id for one in self._config.cameras}:
            raise UsageError(f"there is no camera '{camera}'")
        (self._disabled.discard if enabled else self._disabled.add)(camera)
        self._converge()

    def set_threshold(self, camera: str, label: str, value: float, model: str | None) -> list[str]:
        """Let events of a label begin at another score; return the models that took it.

        Raises:
            UsageError: when there is no such camera, model or label.
        """
        return self._fleet.named(camera).set_threshold(label, value, model)

    def trigger(self, camera: str, model: str | None) -> list[str]:
        """Have models of single pictures judge the next frame; return which do.

        Raises:
            UsageError: when there is no such camera or model.
        """
        return self._fleet.named(camera).trigger(model)

    def reload(self) -> ConfigReport:
        """Read the configuration again; where it is wrong, the old one stays. Publishes what became of it."""
        config, report = reload_config(self._path, self._config)
        if config is not None:
            before = self._config
            self._config = less_what_needs_a_restart(before, config)
            try:
                self._converge()
            except VedetteError as error:
                self._config = before
                report = report.model_copy(update={"ok": False, "error": str(error), "changes": ()})
            self._governing.configure(self._config.governor)
        for line in report.changes:
            _log.info("configuration: %s", line)
        if not report.ok:
            _log.error("the configuration stays as it was: %s", report.error)
        self._link.announce(self._announcer.config_report(report))
        return report

    def take_config(self, document: bytes, *, dry_run: bool) -> ConfigReport:
        """Take another configuration; publishes what became of it.

        Raises:
            UsageError: when this node is not to be configured from afar.
        """
        if not self._config.commands.remote_config:
            raise UsageError("this node takes no configuration from afar: commands.remote_config is false")
        report = apply_remote(document, self._path, self._config, dry_run=dry_run)
        if report.ok and not dry_run:
            return self.reload()
        self._link.announce(self._announcer.config_report(report))
        return report

    def describe(self) -> Outcome:
        """Tell what the node is, and how it is doing."""
        return self.overview.status().model_dump(mode="json")

    def _make_link(self) -> MqttLink:
        config, home = self._config, self._config.home_assistant
        routes = [Route(self._commander.filter, self._commander.take)] if config.commands.enabled else []
        if config.ota is not None:
            routes.append(Route(self._topics.ota_desired, self._updates.hints.take))
        if home.enabled:
            # The link does not exist yet; what is told later is told by it.
            greeter = Greeter(
                home.prefix, self._discovery, lambda seconds, message: self._link.tell_later(seconds, message)
            )
            routes.append(Route(greeter.topics, greeter.take))
        return MqttLink(
            self._broker,
            f"vedette-{config.site}-{config.node}",
            self._outbox,
            self._announcer,
            Sessions(config.state_dir / "session"),
            routes=routes,
            late_per_second=config.outbox.late_per_second,
        )

    def _make_overview(self) -> Overview:
        return Overview(
            Parts(
                site=self._config.site,
                node=self._config.node,
                boot=self._boot,
                broker=str(self._broker),
                models=lambda: self._models,
                cameras=lambda: [one.camera for one in self._fleet.running],
                watchers=lambda: [watcher for one in self._fleet.running for watcher in one.watchers],
                waiting=self._outbox.__len__,
                link=self._link,
                updates=self._updates.reports,
            )
        )

    def _make_assembler(self, on_verdict: OnVerdict | None) -> Assembler:
        return Assembler(
            topics=self._topics,
            boot=self._boot,
            sink=CountingSink(self._link, self._counts, self._link.announce),
            announce=self._link.announce,
            drift=self._config.drift,
            keeper=self._keeper,
            overview=self.overview,
            on_status=self._on_status,
            on_verdict=on_verdict,
            tap=self._updates.tapped,
        )

    def _greet(self, *new: str) -> None:
        """Say that nothing goes on yet on new cameras, and introduce all to Home Assistant."""
        for camera in announced_cameras(self._config, self._models):
            if camera.id in new:
                for message in self._counts.zero(camera.id, camera.labels):
                    self._link.announce(message)
        if self._config.home_assistant.enabled:
            self._link.announce(self._discovery())

    def _discovery(self) -> Message:
        return discovery(
            self._topics,
            announced_cameras(self._config, self._models),
            prefix=self._config.home_assistant.prefix,
            metrics_interval=self._config.metrics_interval,
        )

    def _shall_run(self) -> AgentConfig:
        return self._updates.selection.applied(effective(self._config, self._disabled, self._step))

    def _converge(self) -> None:
        """Run what shall run now; an update for which that cannot be built is left.

        Raises:
            VedetteError: when it cannot be built; then nothing has changed.
        """
        while True:
            try:
                return self._converge_to(self._shall_run())
            except VedetteError as error:
                if not self._updates.blame(error):
                    raise

    def _converge_to(self, shall_run: AgentConfig) -> None:
        models, selection = self._models, self._updates.selection
        change = difference(self._fleet.config, shall_run, selection.anew, selection.alike(models))
        if new := {*change.models_added, *change.models_removed, *change.models_changed}:
            kept = {name: model for name, model in models.items() if name not in new}
            models = selection.load(shall_run, self.variant_changed, kept=kept)
        self._fleet.converge(shall_run, models, change)
        self._models = models
        self._updates.took(models)
        for camera in change.removed:
            self.overview.forget(camera)
        if change != Difference():
            self._greet(*change.added)
            self._link.introduce()

    def _follow_updates(self) -> None:
        self._updates.tick(self._models, self._fleet.running, self._converge)
        if (news := self._updates.news()) is not None:
            self._link.announce(self._announcer.updates(news, self._updates.hints.ignored))

    def _over(self) -> bool:
        fatal = self._fleet.fatal is not None
        if fatal and self._updates.answers_for(self._models, self._fleet.running):
            return False
        return fatal or self._link.error is not None or self._fleet.finished

    def _delivered(self) -> bool:
        return self._link.error is not None or (self._link.tried and len(self._outbox) == 0)

    def _wait(self, done: Callable[[], bool], seconds: float, tick: float) -> None:
        """Supervise until `done`, at most `seconds`, or until a second call of `stop`."""
        until = time.monotonic() + seconds
        while not done() and self._stops < 2 and (now := time.monotonic()) < until:
            self._watchdog.tick(now)
            self._end_if_stuck(now)
            self._fleet.tend()
            self._errands.run()
            if self._hups:
                self._hups = 0
                self.reload()
            self._governing.tick(now)
            self._follow_updates()
            if now >= self._next_metrics:
                self._next_metrics = now + self._config.metrics_interval
                self._link.tell(self._announcer.metrics(self.overview.metrics()))
            time.sleep(tick)

    def _end_if_stuck(self, now: float) -> None:
        stuck = self._models.stuck(now)
        if stuck is not None:
            _log.critical("%s", stuck[1])
            self._updates.hung(*stuck)
            # Native code cannot be interrupted; what was told is on the disk.
            os._exit(_HUNG)

    def _raise_failures(self) -> None:
        fatal = self._link.error or self._fleet.fatal
        if fatal is not None:
            raise fatal
        errors = self._fleet.errors
        if errors and all(one.camera.error and not one.camera.frames for one in self._fleet.running):
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

    def _on_step(self, step: Step, state: GovernorState) -> None:
        """Heed a step of the governor, and publish it."""
        self._step = step
        self._updates.hold(step != LADDER[0])
        self._link.announce(self._announcer.governor(state))
        self._fleet.heed(step)
        for model in self._models.values():
            model.spare(step.cheaper_variant)
        try:
            self._converge()
        except VedetteError as error:
            _log.error("governor: step %d cannot be taken: %s", step.number, error)

    def _on_status(self, camera: str, status: Status, reason: str) -> None:
        self.overview.note_status(camera, status, reason)
        self._link.announce(self._announcer.status(camera, status, reason))
