"""`vedette-convert release rollout`: who takes the current release, wave by wave."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedette_converters.commands.release_options import (
    DirectoryArgument,
    FleetOption,
    KeysOption,
    ModelOption,
    PassphraseOption,
    keyring,
    now,
    numbers,
    report_published,
    repository,
)
from vedette_converters.commands.release_status import print_rollouts
from vedette_edge.errors import UsageError
from vedette_train.console import log

if TYPE_CHECKING:
    from vedette_converters.release.campaigns import Turn
    from vedette_converters.release.control import Step
    from vedette_converters.release.policy import RolloutState

__all__ = ["app"]

app = typer.Typer(name="rollout", help="Who takes the current release, wave by wave.", no_args_is_help=True)


@app.command(
    epilog="Example:  vedette-convert release rollout start site --fleet gates --model people --first gate-7 "
    "--keys keys"
)
def start(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    waves: Annotated[str, typer.Option(help="Shares of all nodes, growing.")] = "0.01,0.1,0.5,1",
    first: Annotated[str, typer.Option(help="Nodes that take it whatever the share: NODE,...")] = "",
    nodes: Annotated[
        Path | None, typer.Option(help="Lines of NODE HARDWARE: one more of each hardware goes first.")
    ] = None,
    success: Annotated[float, typer.Option(min=0, max=1, help="Of a wave, before the next begins.")] = 0.95,
    abort_errors: Annotated[
        float, typer.Option(min=0, max=1, help="Failures, of nodes that have begun.")
    ] = 0.1,
    least: Annotated[int, typer.Option(min=1, help="Nodes that have begun before that counts.")] = 20,
    hold: Annotated[str, typer.Option(help="How long a wave lasts at least, such as 90s, 10m, 2h.")] = "10m",
    rate: Annotated[
        float | None, typer.Option(min=0, max=60, help="Share of all nodes an hour, at most.")
    ] = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Let the first wave take the current release, and publish that."""
    from vedette_converters.release.campaigns import apply, begin
    from vedette_converters.release.names import checked
    from vedette_converters.release.policy import Policy, canaries

    policy = checked(
        Policy,
        waves=numbers(waves, "--waves"),
        success=success,
        abort_errors=abort_errors,
        least=least,
        hold=seconds(hold),
        rate=rate or None,
    )
    chosen = canaries([node for node in first.split(",") if node], _hardware(nodes))
    where, ring = repository(directory), keyring(keys, passphrase_file)
    with where.alone():
        state = begin(where, fleet, model, policy, chosen, now())
        done = apply(where, state, ring.signer, now())
    if done is not None:
        report_published(done, where)
    _tell(state)


@app.command()
def widen(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Begin the next wave now, whatever the nodes report."""
    _turn(directory, fleet, model, keys, passphrase_file, "widen")


@app.command()
def pause(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    reason: Annotated[str, typer.Option(help="For people.")] = "by hand",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Let nobody begin; who is under way goes on."""
    _turn(directory, fleet, model, keys, passphrase_file, "pause", reason)


@app.command()
def resume(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Go on after a pause."""
    _turn(directory, fleet, model, keys, passphrase_file, "resume")


@app.command()
def abort(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    reason: Annotated[str, typer.Option(help="For people.")] = "by hand",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Let nobody begin any more, for good; `release revert` brings the old files back to who has the new."""
    _turn(directory, fleet, model, keys, passphrase_file, "abort", reason)


@app.command()
def status(
    directory: DirectoryArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, on standard output.")] = False,
) -> None:
    """Show where each rollout stands."""
    from vedette_converters.release.status import look

    found = look(repository(directory), lambda keyid: keyid, now())
    if as_json:
        typer.echo("[" + ",".join(state.model_dump_json() for state in found.rollouts) + "]")
    else:
        print_rollouts(found)


@app.command(
    epilog="Example:  vedette-convert release rollout run site --fleet gates --model people --keys keys "
    "--broker localhost:8883 --ca-file ca.pem --cert-file control-room.pem --key-file control-room.key"
)
def run(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    broker: Annotated[str, typer.Option(help="HOST:PORT of the MQTT broker.")],
    site: Annotated[str, typer.Option(help="Whose nodes; +: of all sites.")] = "+",
    success: Annotated[float | None, typer.Option(min=0, max=1, help="In place of what start said.")] = None,
    abort_errors: Annotated[float | None, typer.Option(min=0, max=1, help="As above.")] = None,
    least: Annotated[int | None, typer.Option(min=1, help="As above.")] = None,
    hold: Annotated[str | None, typer.Option(help="As above.")] = None,
    revert: Annotated[
        bool, typer.Option("--revert", help="After an abort, release the old files anew.")
    ] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 10.0,
    protocol: Annotated[Literal["5", "3.1.1"], typer.Option(help="Version of MQTT.")] = "3.1.1",
    username: Annotated[str | None, typer.Option(help="Of the broker.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="Of the broker.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="TLS: whose certificates count.")] = None,
    cert_file: Annotated[Path | None, typer.Option(help="TLS: our certificate.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="TLS: our key.")] = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Go on by what nodes report: widen, pause or abort, until nothing goes on by itself.

    May be ended and started again at any moment. Returns 0 when all have it, 1 when it was paused or aborted.
    """
    from vedette_converters.release.control import Controller
    from vedette_converters.release.room import Broker, MqttRoom, Tls, parse_address

    where, ring = repository(directory), keyring(keys, passphrase_file)
    changes = {"success": success, "abort_errors": abort_errors, "least": least}
    _change_policy(where.directory, fleet, model, changes | {"hold": seconds(hold) if hold else None})
    host, port = parse_address(broker)
    tls = None if ca_file is None else Tls(ca_file, cert_file, key_file)
    address = Broker(host, port, protocol, username=username, password_file=password_file, tls=tls)
    with MqttRoom(address, site) as room:
        controller = Controller(
            where, fleet, model, signers=ring.signer, room=room, clock=now, reverts=revert
        )
        said = ""
        while True:
            # Before the first look too: what the broker retains comes one by one.
            time.sleep(interval)
            step = controller.step()
            if (line := _line(step)) != said:
                said = line
                log(line)
            if step.over:
                break
    raise typer.Exit(0 if step.state.phase == "done" else 1)


def seconds(text: str) -> float:
    """Return the seconds of a text such as 90s, 10m or 2h.

    Raises:
        UsageError: when it is none.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        value = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"{text}: expected a time such as 90s, 10m or 2h")
    return value


def _change_policy(directory: Path, fleet: str, model: str, changes: Mapping[str, object]) -> None:
    from vedette_converters.release.campaigns import keep

    wanted = {name: value for name, value in changes.items() if value is not None}
    where = repository(directory)
    with where.alone():
        state = _state(directory, fleet, model)
        if wanted:
            keep(where, state.model_copy(update={"policy": state.policy.model_copy(update=wanted)}))


def _hardware(nodes: Path | None) -> dict[str, str]:
    if nodes is None:
        return {}
    try:
        lines = [line.split() for line in nodes.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--nodes {nodes}: cannot read it ({error})") from error
    if any(len(line) != 2 for line in lines):
        raise UsageError(f"--nodes {nodes}: expected lines of NODE HARDWARE")
    return {line[0]: line[1] for line in lines}


def _state(directory: Path, fleet: str, model: str) -> RolloutState:
    from vedette_converters.release.campaigns import read_state

    try:
        return read_state(repository(directory), fleet, model)
    except FileNotFoundError:
        raise UsageError(
            f"no rollout of '{model}' has begun for the fleet '{fleet}': begin one with  "
            "vedette-convert release rollout start"
        ) from None


def _turn(
    directory: Path,
    fleet: str,
    model: str,
    keys: list[Path],
    passphrase_file: Path | None,
    turn: Turn,
    reason: str = "",
) -> None:
    from vedette_converters.release.campaigns import apply, turned

    where, ring = repository(directory), keyring(keys, passphrase_file)
    with where.alone():
        state = turned(_state(directory, fleet, model), turn, now(), reason)
        done = apply(where, state, ring.signer, now())
    if done is not None:
        report_published(done, where)
    _tell(state)


def _tell(state: RolloutState) -> None:
    log(
        f"release {state.release} of '{state.model}' for '{state.fleet}': {state.phase}, "
        f"wave {state.wave + 1} of {len(state.policy.waves)}, share {state.share:.2%}"
    )


def _line(step: Step) -> str:
    return (
        f"{step.state.phase}, share {step.state.share:.2%}, {step.counts.known} nodes known: "
        f"{step.decision.action}: {step.decision.reason}"
    )
