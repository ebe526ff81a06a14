"""`vedette-convert release`: makes a repository, and puts releases into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_converters.commands import release_keys, release_status, rollout
from vedette_converters.commands.release_options import (
    DirectoryArgument,
    FleetOption,
    KeysOption,
    ModelOption,
    PassphraseOption,
    keyring,
    now,
    report_published,
    repository,
)
from vedette_train.console import log

__all__ = ["app"]

app = typer.Typer(
    name="release",
    help="Releases of models, signed, which devices fetch by themselves; see docs/releasing.md.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.registered_commands += release_keys.app.registered_commands
app.registered_commands += release_status.app.registered_commands
app.add_typer(rollout.app)

_MEGABYTE = 1_000_000


@app.command(
    epilog="Example:  vedette-convert release add bundles/demo --repository site --fleet gates --model people"
)
def add(
    bundle: Annotated[Path, typer.Argument(help="What vedette-convert wrote.")],
    directory: Annotated[Path, typer.Option("--repository", help="Where the release goes.")],
    fleet: FleetOption,
    model: ModelOption,
    hardware: Annotated[
        list[str], typer.Option(help="A board that may take it; several times; none: any.")
    ] = [],  # noqa: B006  # typer copies it
    agent: Annotated[str | None, typer.Option(help="Least version of the agent.")] = None,
    p95_ms: Annotated[float | None, typer.Option(min=0, help="What a call may take, at most.")] = None,
    peak_mb: Annotated[float | None, typer.Option(min=0, help="Memory of a process that runs it.")] = None,
    notes: Annotated[str, typer.Option(help="For people.")] = "",
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Who takes it once it is published; a rollout widens it.")
    ] = 0.0,
) -> None:
    """Check a bundle fully, copy what is not there yet, and keep its release until it is published.

    Without --share nobody takes it before a rollout has begun; only a device without any model does.
    """
    from vedette_converters.release.adding import Wanted
    from vedette_converters.release.adding import add as run_add
    from vedette_edge.ota.release import Budget

    budget = Budget(p95_ms=p95_ms or None, peak_rss_bytes=round(peak_mb * _MEGABYTE) if peak_mb else None)
    wanted = Wanted(tuple(hardware), agent, budget, notes, share)
    where = repository(directory)
    with where.alone():
        made = run_add(where, bundle, fleet, model, wanted, now())
    log(f"release {made.release} of '{model}' for '{fleet}': {len(made.files)} files, {made.bytes} bytes")
    log(f"to publish it:  vedette-convert release publish {directory} --keys KEYS")


@app.command(epilog="Example:  vedette-convert release revert site --fleet gates --model people --keys keys")
def revert(
    directory: DirectoryArgument,
    fleet: FleetOption,
    model: ModelOption,
    keys: KeysOption,
    to: Annotated[int | None, typer.Option(min=1, help="Which; default: the one before the current.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Who takes it at once.")] = 1.0,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Publish the files of an old release as a new one; devices never take a lower counter."""
    from vedette_converters.release.adding import Wanted
    from vedette_converters.release.adding import revert as run_revert
    from vedette_converters.release.publishing import publish as run_publish

    where, ring = repository(directory), keyring(keys, passphrase_file)
    with where.alone():
        made = run_revert(where, fleet, model, to, Wanted(share=share), now())
        done = run_publish(where, ring.signer, now())
    log(f"release {made.release} of '{model}' for '{fleet}': {made.notes}")
    report_published(done, where)


@app.command(epilog="Example:  vedette-convert release publish site --keys keys")
def publish(
    directory: DirectoryArgument,
    keys: KeysOption,
    renew: Annotated[
        list[str], typer.Option(help="A role to be signed anew though nothing changed; several times.")
    ] = [],  # noqa: B006  # typer copies it
    passphrase_file: PassphraseOption = None,
) -> None:
    """Sign and publish what waits; renew what has less than half of its validity left. Run it daily.

    A reader finds the old or the new, whatever happens meanwhile. What lacks a key that is not here waits.
    """
    from vedette_converters.release.publishing import publish as run_publish

    where, ring = repository(directory), keyring(keys, passphrase_file)
    with where.alone():
        done = run_publish(where, ring.signer, now(), renew=renew)
    report_published(done, where)
