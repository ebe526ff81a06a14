"""A device: an agent that is started again when it ends, and an updater that looks when it is asked to.

That is what systemd does of edge-agent.service, edge-agent-ota.timer and edge-agent-ota.path; the commands
are the units' own.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.markup import escape

from ota_demo.repository import Served, Traffic
from ota_demo.story import command
from vedette_edge.ota.evidence import Evidence, read_evidence
from vedette_edge.ota.layout import Store, evidence_path, look_path
from vedette_edge.ota.record import Record, read_record

__all__ = ["FLEET", "MODEL", "SITE", "Device", "Look"]

SITE, FLEET, MODEL = "hall", "gates", "lamps"
RESTART_SEC = 1.0  # seconds; edge-agent.service has 2
_LOOK = 0.1  # seconds

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Look:
    """What one `edge-agent ota look` did."""

    code: int
    seconds: float
    traffic: Traffic
    trouble: str = ""


@dataclass
class Device:
    """One device.

    Attributes:
        name: its node.
        home: where its state, its store and its configuration are.
        web: the address at which it finds the repository.
        say: prints a line about it.
        settings: of its section ota, beside what all have.
        timer: seconds from one look to the next.
        states: (Unix time, state, release) of each transition.
        falls: (Unix time, exit code) of each end of the agent that nobody asked for.
        looks: what its looks did.
    """

    name: str
    home: Path
    web: Served
    say: Say
    settings: dict[str, Any] = field(default_factory=dict)
    timer: float = 5.0
    states: list[tuple[float, str, int]] = field(default_factory=list)
    falls: list[tuple[float, int]] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with an agent that is off, and without a timer."""
        self.home.mkdir(parents=True)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._agent: subprocess.Popen[bytes] | None = None
        self._looking = threading.Lock()

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.home / "edge-agent.yaml"

    @property
    def state_dir(self) -> Path:
        """The agent's."""
        return self.home / "edge-agent"

    @property
    def record(self) -> Record:
        """Where its update stands."""
        try:
            return read_record(Store(self.home / "edge-models").model(MODEL).record)
        except FileNotFoundError:
            return Record(model=MODEL)

    @property
    def evidence(self) -> Evidence | None:
        """What its agent saw of the candidate."""
        return read_evidence(evidence_path(self.state_dir, MODEL))

    @property
    def committed(self) -> int | None:
        """The release that it came to keep."""
        return self.record.committed.release if self.record.committed else None

    @property
    def root_version(self) -> int:
        """Version of the root that it came to believe."""
        floor = json.loads(Store(self.home / "edge-models").floor.read_text(encoding="utf-8"))
        return int(floor["sightings"]["root"]["version"])

    def refuses(self, release: int) -> bool:
        """Tell whether it will not take a release again."""
        return any(one.release == release for one in self.record.refused)

    def configure(self, root: Path, camera: str, broker: int, protocol: str) -> None:
        """Write its configuration.

        Args:
            root: the repository's first root metadata.
            camera: address.
            broker: port on loopback.
            protocol: version of MQTT that it speaks.
        """
        store = self.home / "edge-models"
        settings = {
            "site": SITE,
            "node": self.name,
            "models": {MODEL: {"bundle": str(store / MODEL), "threads": 1}},
            "state_dir": str(self.state_dir),
            "mqtt": {"host": "127.0.0.1", "port": broker, "protocol": protocol},
            "cameras": [{"id": "door", "source": {"type": "mjpeg", "url": camera}}],
            "governor": {"enabled": False},  # other work on this machine must not pause a camera
            "ota": {
                "url": self.web.url,
                "fleet": FLEET,
                "root": str(root),
                "store": str(store),
                "models": [MODEL],
                "trial_deadline": 300.0,
                "tries": 3,
                **self.settings,
            },
        }
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")

    def adopt(self, bundle: Path) -> None:
        """Run `edge-agent ota adopt`, as a factory does."""
        adopt = command("edge-agent", "ota", "adopt", MODEL, bundle, "--config", self.config)
        subprocess.run(adopt, check=True, stdout=subprocess.DEVNULL)
        self.say(self.name, f"bundle {bundle.name} adopted by hand, as release {self.committed}")

    def start(self) -> None:
        """Switch on: edge-agent.service, and the timer and path of its updater."""
        for target in (self._keep_agent, self._keep_looking):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)

    def logged(self, words: str) -> bool:
        """Tell whether its agent has logged something."""
        return words in (self.home / "agent.log").read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        """Begin to switch off: the agent delivers what is left."""
        self._ending.set()
        if self._agent is not None and self._agent.poll() is None:
            self._agent.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Switch off, and wait for that."""
        self.end()
        for thread in self._threads:
            thread.join(30)
        if self._agent is not None and self._agent.poll() is None:
            self._agent.kill()

    def look(self, *, quietly: bool = False) -> Look:
        """Run `edge-agent ota look`, as the timer does; tell each transition."""
        with self._looking:
            before, began = self.web.traffic, time.monotonic()
            process = subprocess.Popen(
                command("edge-agent", "ota", "look", "--config", self.config, "--log", "json"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stderr is not None
            trouble = ""
            for line in process.stderr:
                trouble = self._told(line.strip(), quietly) or trouble
            code = process.wait()
            look = Look(code, time.monotonic() - began, self.web.traffic - before, trouble)
            self.looks.append(look)
            return look

    def _told(self, line: str, quietly: bool) -> str:
        """Tell a line of the updater; return it where it is no transition."""
        try:
            values = json.loads(line)
        except ValueError:
            return line.removeprefix("edge-agent: ").removeprefix("error: ")
        if values.get("event") != "ota" or "state" not in values:
            return str(values.get("message", line))
        state, before, release = values["state"], values["before"], values["release"] or 0
        self.states.append((time.time(), state, release))
        reason = values["message"].partition(f"release {release}: ")[2]
        text = f"{before} -> [bold]{state}[/]" + (f"  release {release}" if release else "")
        if before == "shadow" and not reason:
            self.say(self.name, f"{text}  [green]{self._disagreement()}[/]")
        elif reason:
            self.say(self.name, f"{text}  [red]{escape(reason)}[/]")
        elif not quietly:
            self.say(self.name, text)
        return ""

    def _disagreement(self) -> str:
        evidence = self.evidence
        if evidence is None or not evidence.shadow.compared:
            return "no shadow is asked for here"
        seen = evidence.shadow
        return (
            f"beside the old one for {evidence.seconds:.0f} s: {seen.compared} verdicts compared, "
            f"{seen.compared - seen.agreed} differ ({1 - seen.agreed / seen.compared:.0%}), "
            f"mean difference of the scores {seen.score_difference:.2f}"
        )

    def _keep_agent(self) -> None:
        """Do what edge-agent.service does: Restart=always."""
        while not self._ending.is_set():
            with (self.home / "agent.log").open("ab") as log:
                self.starts.append(time.time())
                self._agent = subprocess.Popen(
                    command("edge-agent", "run", "--config", self.config), stdout=log, stderr=log
                )
                code = self._agent.wait()
            if self._ending.is_set():
                return
            self.falls.append((time.time(), code))
            self.say(self.name, f"[red]the agent ended: {_ended(code)}[/]; systemd starts it again")
            self._ending.wait(RESTART_SEC)

    def _keep_looking(self) -> None:
        """Do what edge-agent-ota.timer and .path do."""
        asked, due = _touched(look_path(self.state_dir)), time.monotonic() + self.timer
        while not self._ending.wait(_LOOK):
            touched = _touched(look_path(self.state_dir))
            if touched != asked or time.monotonic() > due:
                asked = touched
                self.look()
                due = time.monotonic() + self.timer


def _touched(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
