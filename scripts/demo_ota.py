"""`make demo-ota`: models that come from afar, good ones and bad ones, on two devices and a real broker.

Makes a repository with keys, serves it by a plain web server, and lets two devices watch one camera while
releases come: one that is better, one with other outputs, one that is too slow, one that ends the process.
Then somebody forges the repository and serves an old one; then keys are exchanged. Each thing that happens is
told, by whom it happened; at the end what the control room received is held against what there was to be seen.
Writes everything below `out/demo-ota`, with `summary.json` at the end. Takes two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ota_demo.camera import Camera
from ota_demo.device import BIN, FLEET, MODEL, Device
from ota_demo.lamps import Network, write_bundle
from ota_demo.picture import draw
from ota_demo.repository import Served
from ota_demo.room import Account, account_of, read_events, send_forged_hint
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vedette_edge.broker import EmbeddedBroker

MOSQUITTO = next(
    (path for path in ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto") if os.path.exists(path)), ""
)
PATIENCE = 150.0  # seconds for any one thing, on a busy machine
SHADOW, TRIAL = 6.0, 6.0  # seconds; in the field minutes
P95_MS = 25.0  # that a call may take; a good one takes a tenth of a millisecond
FIRST = "device-1"
WAVES = ("--waves", "0.001,1", "--first", FIRST, "--hold", "1s", "--least", "1")
AT_ONCE = ("--waves", "1", "--hold", "1s", "--least", "2")
PASSPHRASE = ("--passphrase-file", "passphrase")

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 150)


@dataclass
class Story:
    """What is told, and what came of it."""

    out: Path
    began: float = field(default_factory=time.monotonic)
    rows: list[tuple[str, str, str, float, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)

    def title(self, text: str) -> None:
        """Begin a step."""
        self.steps.append((time.time(), text.partition(".")[0]))
        console.print(f"\n[bold]{text}[/]")

    def say(self, who: str, text: str) -> None:
        """Tell what happened to somebody; `text` is markup."""
        console.print(f"{time.monotonic() - self.began:6.1f} s  [magenta]{who:<9}[/] {text}")

    def row(self, step: str, device: str, what: str, seconds: float, sent: int) -> None:
        """Keep a line for the table at the end."""
        self.rows.append((step, device, what, seconds, sent))

    def expect(self, true: bool, what: str) -> None:
        """Tell where something is not as promised; the exit code tells it, too."""
        if not true:
            self.broken.append(what)
            console.print(f"[bold red]NOT AS PROMISED: {what}[/]")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to come true."""
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"{what} did not come within {PATIENCE:g} s")
            time.sleep(0.1)

    def run(self, *words: object) -> None:
        """Run a command as a user would type it, in the demo's directory."""
        console.print(f"[bold cyan]$[/] {escape(shlex.join(map(str, words)))}")
        subprocess.run(_command(*words), check=True, cwd=self.out)


@dataclass
class World:
    """What the story plays in."""

    story: Story
    camera: Camera
    devices: tuple[Device, Device]
    port: int

    @property
    def bytes(self) -> int:
        """What both devices were sent so far."""
        return sum(device.web.traffic.bytes for device in self.devices)


def main() -> int:
    """Run the demo; return 0 when all went as promised."""
    out, quick = _parse_arguments()
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    story = Story(out)
    _make_repository(story)
    with contextlib.ExitStack() as stack:
        world = _begin(story, stack)
        _first_release(world)
        _good_update(world, quick=quick)
        _bad_updates(world, quick=quick)
        _attacks(world)
        _rotations(world, quick=quick)
        _no_news(world)
        _account(world)
    _end(story)
    return 1 if story.broken else 0


def _parse_arguments() -> tuple[Path, bool]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo-ota"))
    parser.add_argument("--quick", action="store_true", help="leave out what takes longest")
    options = parser.parse_args()
    return options.out.resolve(), options.quick


def _make_repository(story: Story) -> None:
    story.title("1. A repository, its keys with a passphrase; those of root and targets go to a safe")
    (story.out / "passphrase").write_text("open sesame, for a demonstration\n", encoding="utf-8")
    (story.out / "passphrase").chmod(0o600)
    story.run("vedette-convert", "release", "init", "site", "--fleet", FLEET, "--keys", "keys", *PASSPHRASE)
    safe = story.out / "safe"
    safe.mkdir()
    for path in (story.out / "keys").glob("*"):
        if path.name.startswith(("root", "targets")):
            path.rename(safe / path.name)
    _release(story, 1, Network(threshold=0.3))
    shutil.copytree(story.out / "site", story.out / "old")  # for whoever wants to serve it again later


def _release(story: Story, number: int, network: Network, notes: str = "sees bright lamps") -> None:
    bundle = write_bundle(story.out / "bundles" / str(number), network, number)
    story.run("vedette-convert", "release", "add", bundle.relative_to(story.out), "--repository", "site",
              "--fleet", FLEET, "--model", MODEL, "--p95-ms", P95_MS, "--notes", notes)  # fmt: skip
    if number == 1:
        story.run("vedette-convert", "release", "publish", "site", "--keys", "keys", *PASSPHRASE)


def _begin(story: Story, stack: contextlib.ExitStack) -> World:
    story.title("2. A camera, a broker, a control room, a web server, and two devices that are still off")
    camera = stack.enter_context(Camera())
    port = stack.enter_context(_broker(story))
    stack.enter_context(_control_room(story, port))
    settings = ({"shadow": SHADOW, "trial": TRIAL}, {"shadow": 0.0, "trial": TRIAL})
    devices = []
    for number, of_ota in enumerate(settings, 1):
        web = Served(story.out / "site")
        stack.callback(web.close)
        device = Device(f"device-{number}", story.out / f"device-{number}", web, story.say, of_ota)
        device.configure(story.out / "site" / "root.json", camera.url, port)
        stack.callback(device.stop)
        devices.append(device)
        story.say(
            device.name, f"repository {web.url}, shadow {of_ota['shadow']:g} s, trial {of_ota['trial']:g} s"
        )
    return World(story, camera, (devices[0], devices[1]), port)


@contextlib.contextmanager
def _broker(story: Story) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    if not MOSQUITTO:
        with EmbeddedBroker("127.0.0.1", port):
            story.say("broker", f"127.0.0.1:{port}, the embedded one, as there is no Mosquitto")
            yield port
        return
    config = story.out / "mosquitto.conf"
    # Started by root, Mosquitto would become another user.
    config.write_text(
        f"user {getpass.getuser()}\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        story.wait(lambda: _answers(port), "Mosquitto's start")
        story.say("broker", f"127.0.0.1:{port}, Mosquitto")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _control_room(story: Story, port: int) -> Iterator[None]:
    words = ["edge-agent", "watch", "--broker", f"127.0.0.1:{port}", "--json", "--save", "pictures",
             "--wait", "30", "--timeout", "900"]  # fmt: skip
    console.print(f"[bold cyan]$[/] {shlex.join(words)} > alerts.jsonl &")
    with (story.out / "alerts.jsonl").open("w") as file:
        process = subprocess.Popen(_command(*words), stdout=file, stderr=subprocess.DEVNULL, cwd=story.out)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def _first_release(world: World) -> None:
    one, two = world.devices
    world.story.title(
        "3. The first model: device-1 fetches release 1, device-2 got it by hand, in the factory"
    )
    began = time.monotonic()
    two.adopt(world.story.out / "bundles" / "1")
    two.start()
    one.look()
    one.start()
    world.story.wait(lambda: one.committed == 1 and one.record.state == "idle", "the first release")
    world.story.row(
        "first release", one.name, "release 1 committed", time.monotonic() - began, one.web.traffic.bytes
    )
    world.story.row(
        "first release", two.name, "adopted by hand", time.monotonic() - began, two.web.traffic.bytes
    )


def _good_update(world: World, *, quick: bool) -> None:
    story = world.story
    waves = AT_ONCE if quick else WAVES
    story.title(
        f"4. A good update, {'for both at once' if quick else 'in two waves'}: release 2 sees dim lamps, too"
    )
    began, before = time.monotonic(), [device.web.traffic.bytes for device in world.devices]
    _release(story, 2, Network(threshold=0.14), "sees dim lamps, too")
    code = _roll_out(world, waves)
    story.expect(code == 0, "the rollout of release 2 comes to its end")
    of_release = _bytes_of(story.out / "bundles" / "2")
    for device, sent in zip(world.devices, before, strict=True):
        story.expect(device.committed == 2, f"{device.name} keeps release 2")
        fetched = device.web.traffic.bytes - sent
        saved = of_release - fetched
        story.say(
            device.name,
            f"release 2 has {of_release} bytes, {fetched} were fetched: unchanged files were here",
        )
        story.row("good update", device.name, f"release 2 committed, {saved / of_release:.0%} saved",
                  _since(device, began, "commit", story), fetched)  # fmt: skip


def _bad_updates(world: World, *, quick: bool) -> None:
    story = world.story
    story.title(
        "5. Release 3 says other things than its golden samples: the probe refuses it, the rollout ends"
    )
    _refused(world, 3, Network(threshold=0.14, flaw="wrong"), WAVES, "other outputs")
    if quick:
        return
    story.title("6. Release 4 is too slow for its own budget")
    _refused(world, 4, Network(threshold=0.14, flaw="slow"), WAVES, "too slow")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        story.say("story", "release 5 ends the process on x86 alone, and is left out here")
        return
    story.title(
        "7. Release 5 ends the process at the first bright lamp; device-1 is in its shadow, device-2 in its trial"
    )
    _refused(world, 5, Network(threshold=0.14, flaw="crashes"), AT_ONCE, "ends the process")
    for device in world.devices:
        story.expect(len(device.falls) >= 2, f"the agent of {device.name} fell with release 5")


def _refused(world: World, number: int, network: Network, waves: tuple[str, ...], what: str) -> None:
    """Release something bad; see that it is refused, that the rollout ends, and that the old one goes on."""
    story = world.story
    kept = [device.committed for device in world.devices]
    sent = [device.web.traffic.bytes for device in world.devices]
    falls = [len(device.falls) for device in world.devices]
    began = time.monotonic()
    _release(story, number, network, what)
    code = _roll_out(world, waves)
    story.expect(code == 1, f"the rollout of release {number} is aborted")
    for device, before, bytes_before, falls_before in zip(world.devices, kept, sent, falls, strict=True):
        record = device.record
        story.expect(device.committed == before, f"{device.name} goes on with release {before}")
        refused = any(one.release == number for one in record.refused)
        if device.name == FIRST or waves is AT_ONCE:
            story.expect(refused, f"{device.name} refuses release {number}")
        fell = len(device.falls) - falls_before
        result = record.outcome.result if refused and record.outcome else "never asked to take it"
        words = f"release {number} {result}" + (f", its agent was started again {fell} times" if fell else "")
        story.row(what, device.name, words, time.monotonic() - began, device.web.traffic.bytes - bytes_before)


def _roll_out(world: World, waves: tuple[str, ...]) -> int:
    """Start the rollout of the current release, and drive it by what devices report; return how it ended."""
    story = world.story
    story.run("vedette-convert", "release", "rollout", "start", "site", "--fleet", FLEET, "--model", MODEL,
              *waves, "--success", 1, "--abort-errors", 0.3, "--keys", "keys", *PASSPHRASE)  # fmt: skip
    words = ["vedette-convert", "release", "rollout", "run", "site", "--fleet", FLEET, "--model", MODEL,
             "--broker", f"127.0.0.1:{world.port}", "--interval", "0.5", "--keys", "keys", *PASSPHRASE]  # fmt: skip
    console.print(f"[bold cyan]$[/] {shlex.join(words)} &")
    process = subprocess.Popen(
        _command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=story.out
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    assert process.stdout is not None
    try:
        for line in process.stdout:
            story.say("rollout", escape(line.strip()))
    finally:
        watchdog.cancel()
        process.terminate()
    if process.wait() < 0:
        raise TimeoutError(f"the rollout did not come to its end within {PATIENCE:g} s")
    return process.returncode


def _attacks(world: World) -> None:
    """Try what a thief of the web server, or of the broker, would try."""
    story, one = world.story, world.devices[0]
    story.title(
        "8. Somebody has the web server: he edits what is signed, then he serves the repository of yesterday"
    )
    _forge(story.out / "site", story.out / "forged")
    for name, what in (("forged", "forged metadata"), ("old", "an old repository")):
        before = one.record
        one.web.directory = story.out / name
        look = one.look()
        story.say(one.name, f"[red]{escape(look.trouble)}[/]")
        story.expect(look.code == 1 and one.record == before, f"{what} changes nothing")
        story.row(what, one.name, "refused, nothing changed", look.seconds, look.traffic.bytes)
    one.web.directory = story.out / "site"
    sent = send_forged_hint(world.port, one.name)
    story.say("forger", f"over MQTT, to {one.name}: {sent.decode()}")
    began = time.monotonic()
    story.wait(lambda: one.logged("ota/desired: ignored: not a hint"), "a word about the forged hint")
    story.say(one.name, "[green]ignored: not a hint; a hint has no address and no digest[/]")
    story.row("forged MQTT hint", one.name, "ignored", time.monotonic() - began, 0)
    story.expect(one.look().code == 0, "the right repository is believed again")


def _forge(site: Path, forged: Path) -> None:
    """Copy a repository, and have its timestamp say that there is something newer; its signature stays."""
    shutil.copytree(site, forged)
    path = forged / "metadata" / "timestamp.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["signed"]["version"] += 1
    path.write_text(json.dumps(metadata), encoding="utf-8")


def _rotations(world: World, *, quick: bool) -> None:
    story = world.story
    story.title("9. Keys are exchanged: the online key, the fleet's, one of root; the safe signs")
    began, before = time.monotonic(), [device.web.traffic.bytes for device in world.devices]
    _rotate(story, "root", "online", "online", "new:online-2", "keys")
    _rotate(story, "targets", FLEET, FLEET, f"new:{FLEET}-2", "keys")
    _rotate(story, "root", "root", "root-1", "new:root-4", "safe")
    for path in (story.out / "keys").glob("*"):
        if path.stem in ("online", FLEET):
            path.unlink()
    for device, sent in zip(world.devices, before, strict=True):
        story.expect(device.look().code == 0, f"{device.name} follows the keys")
        root = _root_version(device)
        story.say(device.name, f"believes root {root} now")
        story.expect(root == 3, f"{device.name} has the third root")
        story.row("key rotation", device.name, f"follows to root {root}", time.monotonic() - began,
                  device.web.traffic.bytes - sent)  # fmt: skip
    if quick:
        return
    story.title("10. Release 6, signed by the new keys alone: good again, for both at once")
    began, before = time.monotonic(), [device.web.traffic.bytes for device in world.devices]
    _release(story, 6, Network(threshold=0.15), "as release 2, a little calmer")
    story.expect(_roll_out(world, AT_ONCE) == 0, "the rollout of release 6 comes to its end")
    for device, sent in zip(world.devices, before, strict=True):
        story.expect(device.committed == 6, f"{device.name} keeps release 6")
        story.row("new keys", device.name, "release 6 committed", _since(device, began, "commit", story),
                  device.web.traffic.bytes - sent)  # fmt: skip


def _rotate(story: Story, authority: str, role: str, old: str, new: str, keys: str) -> None:
    waits = f"site.work/staged/{authority}.json"
    signing = [word for number in (2, 3) for word in ("--key", f"safe/{authority}-{number}.json")]
    story.run("vedette-convert", "release", "rotate", "site", role, "--remove", old, "--add", new,
              "--keys", keys, *PASSPHRASE)  # fmt: skip
    story.run("vedette-convert", "release", "sign", waits, *signing, *PASSPHRASE)
    story.run("vedette-convert", "release", "publish", "site", "--keys", "keys", *PASSPHRASE)


def _root_version(device: Device) -> int:
    floor = json.loads((device.home / "edge-models" / "floor.json").read_text(encoding="utf-8"))
    return int(floor["sightings"]["root"]["version"])


def _no_news(world: World) -> None:
    story = world.story
    story.title("11. A look without news, as the timer makes it")
    for device in world.devices:
        device.look()
        look = device.look()
        story.say(device.name, f"{look.traffic.requests} requests, {look.traffic.bytes} bytes")
        story.expect(
            look.code == 0 and look.traffic.requests <= 3 and look.traffic.bytes <= 1000,
            f"a look of {device.name} without news costs at most 3 requests and 1000 bytes",
        )
        story.row(
            "no news", device.name, f"{look.traffic.requests} requests", look.seconds, look.traffic.bytes
        )


def _account(world: World) -> None:
    story = world.story
    story.title("12. What the control room was told meanwhile")
    until = time.time()
    for device in world.devices:
        device.stop()
    time.sleep(1)  # for the last messages to be printed
    accounts, events = {}, {}
    for device in world.devices:
        events[device.name] = read_events(story.out / "alerts.jsonl", device.name)
        found = account_of(device, events[device.name], world.camera, until)
        accounts[device.name] = found
        story.expect(found.lost == 0, f"no message of {device.name} is lost")
        story.expect(
            found.unexplained <= 1 + found.awake / 20,
            f"{device.name} alarms at each bright lamp for which it was awake",
        )
        story.expect(
            found.dim[0] == 0 < found.dim_later[0], f"{device.name} sees dim lamps from release 2 on"
        )
    draw(story.out / "timeline.png", story.steps, world.devices, events)
    _print_accounts(accounts)
    summary = {
        "seconds": round(time.monotonic() - story.began, 1),
        "steps": [
            dict(zip(("step", "device", "what", "seconds", "bytes"), row, strict=True)) for row in story.rows
        ],
        "devices": {name: asdict(one) for name, one in accounts.items()},
        "broken": story.broken,
    }
    (story.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _print_accounts(accounts: dict[str, Account]) -> None:
    table = Table(title="Alarms, from the first to the last", title_justify="left")
    for column in ("device", "messages", "lost", "bright lamps", "alarms", "missed: agent starting",
                   "model exchanged", "else", "dim lamps before release 2", "and after"):  # fmt: skip
        table.add_column(column)
    for name, one in accounts.items():
        table.add_row(
            name, str(one.events), str(one.lost), str(one.bright), str(one.seen), str(one.starting),
            str(one.exchanging), str(one.unexplained), "{} of {}".format(*one.dim),
            "{} of {}".format(*one.dim_later),
        )  # fmt: skip
    console.print(table)


def _end(story: Story) -> None:
    table = Table(title="What happened", title_justify="left")
    for column in ("step", "device", "what happened", "seconds", "bytes fetched"):
        table.add_column(column, justify="right" if column in ("seconds", "bytes fetched") else "left")
    for step, device, what, seconds, sent in story.rows:
        table.add_row(step, device, what, f"{seconds:.1f}", str(sent))
    console.print(table)
    console.print(
        f"\nDone in {time.monotonic() - story.began:.0f} s. Next:\n"
        f"  see it in one picture     {story.out / 'timeline.png'}\n"
        f"  look at the alarms        {story.out / 'pictures'}\n"
        f"  at the repository         vedette-convert release status {story.out / 'site'} --keys {story.out / 'keys'}\n"
        f"  at a device               edge-agent ota status --config {story.out / FIRST / 'edge-agent.yaml'}\n"
        "  how it is done            docs/releasing.md, docs/ota.md"
    )
    for one in story.broken:
        console.print(f"[bold red]not as promised: {one}[/]")


def _since(device: Device, began: float, state: str, story: Story) -> float:
    """Return the seconds from a monotonic time to a device's last transition to a state."""
    moment = max((moment for moment, one, _ in device.states if one == state), default=time.time())
    return moment - (time.time() - (time.monotonic() - began))


def _bytes_of(bundle: Path) -> int:
    return sum(path.stat().st_size for path in bundle.iterdir())


def _command(*words: object) -> list[str]:
    return [str(BIN / str(words[0])), *(str(word) for word in words[1:])]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo-ota: this command failed with exit code {error.returncode}: {shlex.join(error.cmd)}")
    except TimeoutError as error:
        sys.exit(f"demo-ota: {error}")
