"""`make demo-ota`: models that come from afar, good ones and bad ones, on two devices and a real broker.

Makes a repository with keys, serves it by a plain web server, and lets two devices watch one camera while
releases come: one that is better, one with other outputs, one that is too slow, one that ends the process.
Then somebody forges the repository, and serves an old one; then keys are exchanged. Each thing that happens
is told, by whom it happened; at the end what the control room received is held against what there was to be
seen. Writes everything below `out/demo-ota`, with `summary.json` and `timeline.png` at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from ota_demo.device import FLEET, Device
from ota_demo.lamps import Network
from ota_demo.picture import draw
from ota_demo.room import Account, account_of, read_events, send_forged_hint
from ota_demo.story import Row, Story, console
from ota_demo.world import FIRST, PASSPHRASE, World, add_release, begin, roll_out
from rich.markup import escape
from rich.table import Table

WAVES = ("--waves", "0.001,1", "--first", FIRST, "--hold", "1s", "--least", "1")
AT_ONCE = ("--waves", "1", "--hold", "1s", "--least", "1")
KEYS = ("--keys", "keys", *PASSPHRASE)
RELEASE = ("vedette-convert", "release")


def main() -> int:
    """Run the demo; return 0 when all went as promised."""
    out, quick = _parse_arguments()
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    story = Story(out)
    story.title("1. A repository, its keys with a passphrase; those of root and targets go to a safe")
    _make_repository(story)
    with contextlib.ExitStack() as stack:
        story.title("2. A camera, a broker, a control room, a web server, and two devices that are still off")
        world = begin(story, stack)
        story.title("3. The first model: device-1 fetches release 1, device-2 got it by hand")
        _first_release(world)
        story.title(f"4. A good update, {'at once' if quick else 'in two waves'}: dim lamps are seen, too")
        _good_update(world, AT_ONCE if quick else WAVES)
        _bad_updates(world, quick=quick)
        story.title("8. A thief of the web server edits what is signed, then he serves what was there before")
        _attacks(world)
        story.title("9. Keys are exchanged; the safe signs")
        _rotations(world, quick=quick)
        if not quick:
            story.title("10. Release 6, signed by the new keys: good again, for both at once")
            _with_new_keys(world)
        story.title("11. A look without news, as the timer makes it")
        _no_news(world)
        story.title("12. What the control room was told meanwhile")
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
    passphrase, safe = story.out / "passphrase", story.out / "safe"
    passphrase.write_text("open sesame, for a demonstration\n", encoding="utf-8")
    passphrase.chmod(0o600)
    story.run(*RELEASE, "init", "site", "--fleet", FLEET, *KEYS)
    safe.mkdir()
    for path in [*(story.out / "keys").iterdir()]:
        if path.name.startswith(("root", "targets")):
            path.rename(safe / path.name)
    add_release(story, 1, Network(threshold=0.3), "sees bright lamps")
    story.run(*RELEASE, "publish", "site", *KEYS)
    shutil.copytree(story.out / "site", story.out / "old")  # the thief's


def _first_release(world: World) -> None:
    one, two = world.devices
    began = time.monotonic()
    two.adopt(world.story.out / "bundles" / "1")
    _keep(world, "first release", two, "adopted by hand", began, {})
    two.start()
    one.look()
    one.start()
    world.story.wait(lambda: one.committed == 1 and one.record.state == "idle", "the first release")
    _keep(world, "first release", one, "release 1 committed", began, {})


def _good_update(world: World, waves: tuple[str, ...]) -> None:
    story, began, sent = world.story, time.monotonic(), world.sent()
    bundle = add_release(story, 2, Network(threshold=0.14), "sees dim lamps, too")
    story.expect(roll_out(world, waves) == 0, "the rollout of release 2 comes to its end")
    whole = sum(path.stat().st_size for path in bundle.iterdir())
    for device in world.devices:
        story.expect(device.committed == 2, f"{device.name} keeps release 2")
        fetched = device.web.traffic.bytes - sent[device.name]
        story.say(
            device.name, f"release 2 has {whole} bytes; {fetched} were fetched, what is unchanged was not"
        )
        what = f"release 2 committed, {1 - fetched / whole:.0%} of its bytes saved"
        _keep(world, "good update", device, what, began, sent)


def _bad_updates(world: World, *, quick: bool) -> None:
    story = world.story
    story.title("5. Release 3 says other things than its golden samples")
    _bad_update(world, 3, Network(threshold=0.14, flaw="wrong"), WAVES, "other outputs")
    if quick:
        return
    story.title("6. Release 4 takes longer than its budget")
    _bad_update(world, 4, Network(threshold=0.14, flaw="slow"), WAVES, "too slow")
    story.title("7. Release 5 ends the process at a bright lamp: in the shadow here, in the trial there")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        story.say("story", "left out: only x86 processors trap at the division that it uses")
        return
    _bad_update(world, 5, Network(threshold=0.14, flaw="crashes"), AT_ONCE, "ends the process")
    for device in world.devices:
        story.expect(len(device.falls) >= 2, f"the agent of {device.name} fell with release 5")


def _bad_update(world: World, number: int, network: Network, waves: tuple[str, ...], what: str) -> None:
    """Release something bad; see that it is refused, that the rollout ends, and that the old one goes on."""
    story, began, sent = world.story, time.monotonic(), world.sent()
    before = {device.name: (device.committed, len(device.falls)) for device in world.devices}
    add_release(story, number, network, what)
    story.expect(roll_out(world, waves) == 1, f"the rollout of release {number} is aborted")
    for device in world.devices:
        committed, falls = before[device.name]
        asked = device.name == FIRST or waves is AT_ONCE
        if asked:
            story.wait(functools.partial(device.refuses, number), f"the refusal by {device.name}")
        story.expect(device.committed == committed, f"{device.name} goes on with release {committed}")
        story.expect(asked or not device.refuses(number), f"{device.name} never met release {number}")
        outcome = device.record.outcome
        words = (
            f"release {number} {outcome.result}" if asked and outcome else "not reached: the rollout ended"
        )
        if len(device.falls) > falls:
            words += f"; the agent fell {len(device.falls) - falls} times"
        _keep(world, what, device, words, began, sent)


def _attacks(world: World) -> None:
    story, one = world.story, world.devices[0]
    _forge(story.out / "site", story.out / "forged")
    for name, what in (("forged", "forged metadata"), ("old", "an old repository")):
        before, sent, began = one.record, world.sent(), time.monotonic()
        one.web.directory = story.out / name
        look = one.look()
        story.say(one.name, f"[red]{escape(look.trouble)}[/]")
        story.expect(look.code == 1 and one.record == before, f"{what} changes nothing")
        _keep(world, what, one, "refused, nothing changed", began, sent)
    one.web.directory = story.out / "site"
    story.say("thief", f"over MQTT, to {one.name}: {send_forged_hint(world.port, one.name).decode()}")
    sent, began = world.sent(), time.monotonic()
    story.wait(lambda: one.logged("ota/desired: ignored: not a hint"), "a word about the forged hint")
    story.say(one.name, "[green]ignored: a hint has no address and no digest[/]")
    _keep(world, "forged hint", one, "ignored", began, sent)
    story.expect(one.look().code == 0, "the right repository is believed again")


def _forge(site: Path, forged: Path) -> None:
    """Copy a repository, and have its timestamp say that there is something newer; its signature stays."""
    shutil.copytree(site, forged)
    path = forged / "metadata" / "timestamp.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["signed"]["version"] += 1
    path.write_text(json.dumps(metadata), encoding="utf-8")


def _rotations(world: World, *, quick: bool) -> None:
    story, began, sent = world.story, time.monotonic(), world.sent()
    _rotate(story, "root", "online", "online", "online-2", "keys")
    if not quick:
        _rotate(story, "targets", FLEET, FLEET, f"{FLEET}-2", "keys")
        _rotate(story, "root", "root", "root-1", "root-4", "safe")
    wanted = 2 if quick else 3
    for device in world.devices:
        story.expect(device.look().code == 0, f"{device.name} follows the keys")
        story.say(device.name, f"believes root {device.root_version} now")
        story.expect(device.root_version == wanted, f"{device.name} believes root {wanted}")
        _keep(world, "key rotation", device, f"follows to root {device.root_version}", began, sent)


def _rotate(story: Story, authority: str, role: str, old: str, new: str, keys: str) -> None:
    """Exchange a key of a role, sign that by two keys of the safe, publish it, and burn the old key."""
    signing = [word for number in (2, 3) for word in ("--key", f"safe/{authority}-{number}.json")]
    change = ("--remove", old, "--add", f"new:{new}")
    story.run(*RELEASE, "rotate", "site", role, *change, "--keys", keys, *PASSPHRASE)
    story.run(*RELEASE, "sign", f"site.work/staged/{authority}.json", *signing, *PASSPHRASE)
    story.run(*RELEASE, "publish", "site", *KEYS)
    for path in (story.out / keys).glob(f"{old}.*"):
        path.unlink()


def _with_new_keys(world: World) -> None:
    story, began, sent = world.story, time.monotonic(), world.sent()
    add_release(story, 6, Network(threshold=0.15), "as release 2, a little calmer")
    story.expect(roll_out(world, AT_ONCE) == 0, "the rollout of release 6 comes to its end")
    for device in world.devices:
        story.expect(device.committed == 6, f"{device.name} keeps release 6")
        _keep(world, "new keys", device, "release 6 committed", began, sent)


def _no_news(world: World) -> None:
    story = world.story
    for device in world.devices:
        device.look()
        began, sent = time.monotonic(), world.sent()
        look = device.look()
        story.say(device.name, f"{look.traffic.requests} requests, {look.traffic.bytes} bytes")
        cheap = look.traffic.requests <= 3 and look.traffic.bytes <= 1000
        story.expect(look.code == 0 and cheap, f"{device.name} looks with 3 requests and 1000 bytes at most")
        _keep(world, "no news", device, f"{look.traffic.requests} requests", began, sent)


def _account(world: World) -> None:
    story, until = world.story, time.time()
    for device in world.devices:
        device.end()
    for device in world.devices:
        device.stop()
    time.sleep(1)  # for the last messages to be printed
    accounts, events = {}, {}
    for device in world.devices:
        name = device.name
        events[name] = read_events(story.out / "alerts.jsonl", name)
        found = accounts[name] = account_of(device, events[name], world.camera, until)
        story.expect(found.lost == 0, f"no message of {name} is lost")
        story.expect(found.unexplained <= 1 + found.awake / 20, f"{name} alarms at each bright lamp")
        story.expect(found.dim[0] == 0 < found.dim_later[0], f"{name} sees dim lamps from release 2 on")
    draw(story.out / "timeline.png", story.steps, world.devices, events)
    _print_accounts(accounts)
    summary = {
        "seconds": round(story.seconds, 1),
        "steps": [asdict(row) for row in story.rows],
        "devices": {name: asdict(one) for name, one in accounts.items()},
        "broken": story.broken,
    }
    (story.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _print_accounts(accounts: dict[str, Account]) -> None:
    table = Table(title="Alarms, from the first to the last", title_justify="left")
    for column in ("device", "messages", "lost", "bright lamps", "alarms", "missed: agent was starting",
                   "model was exchanged", "else", "dim lamps before release 2", "and after"):  # fmt: skip
        table.add_column(column)
    for name, one in accounts.items():
        figures = (one.events, one.lost, one.bright, one.seen, one.starting, one.exchanging, one.unexplained)
        dims = (f"{seen} of {lit}" for seen, lit in (one.dim, one.dim_later))
        table.add_row(name, *map(str, figures), *dims)
    console.print(table)


def _keep(world: World, step: str, device: Device, what: str, began: float, sent: dict[str, int]) -> None:
    """Keep a line for the table at the end: since a monotonic time, and since so much was sent."""
    fetched = device.web.traffic.bytes - sent.get(device.name, 0)
    world.story.rows.append(Row(step, device.name, what, round(time.monotonic() - began, 1), fetched))


def _end(story: Story) -> None:
    table = Table(title="What happened", title_justify="left")
    for column in ("step", "device", "what happened"):
        table.add_column(column)
    for column in ("seconds", "bytes fetched"):
        table.add_column(column, justify="right")
    for row in story.rows:
        table.add_row(row.step, row.device, row.what, f"{row.seconds:.1f}", str(row.bytes))
    console.print(table)
    out = Path(os.path.relpath(story.out))
    console.print(
        f"\nDone in {story.seconds:.0f} s. Next:\n"
        f"  see it in one picture     {out / 'timeline.png'}\n"
        f"  look at the alarms        {out / 'pictures'}\n"
        f"  at the repository         vedette-convert release status {out / 'site'} --keys {out / 'keys'}\n"
        f"  at a device               edge-agent ota status --config {out / FIRST / 'edge-agent.yaml'}\n"
        "  how it is done            docs/releasing.md, docs/ota.md"
    )
    for one in story.broken:
        console.print(f"[bold red]not as promised: {one}[/]")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo-ota: this command failed with exit code {error.returncode}: {shlex.join(error.cmd)}")
    except TimeoutError as error:
        sys.exit(f"demo-ota: {error}")
