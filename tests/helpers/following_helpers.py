"""Model stores as an updater leaves them, for an agent that follows them."""

from __future__ import annotations

import shutil
from pathlib import Path

from vedette_edge.bundle import open_bundle
from vedette_edge.files import write_atomically
from vedette_edge.ota.evidence import Evidence
from vedette_edge.ota.record import Installed, Record

OLD = Installed(slot="a", release=1, digest="a" * 64)
NEW = Installed(slot="b", release=2, digest="b" * 64, campaign="spring")


def record_of(state="trial", **changes) -> Record:
    values = {"model": "fights", "state": state, "committed": OLD, "tries": 3}
    if state not in ("idle", "check", "commit"):
        values["candidate"] = NEW
    return Record(**(values | changes))


def evidence_of(**changes) -> Evidence:
    return Evidence(**({"digest": NEW.digest, "phase": "trial"} | changes))


def write_record(store: Path, record: Record) -> Record:
    """Write a record as the updater does: one step further than the one that is there."""
    path = store / "record.json"
    if path.exists():
        record = record.model_copy(update={"seq": Record.model_validate_json(path.read_bytes()).seq + 1})
    write_atomically(path, record.model_dump_json().encode())
    return record


def write_store(store: Path, bundle: Path, candidate: Path | None = None, **changes) -> Record:
    """Write a store with a committed model in slot a, and perhaps a candidate in slot b."""
    store.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, store / "a")
    values: dict[str, object] = {"model": store.name, "committed": installed(store, "a", 1)}
    if candidate is not None:
        shutil.copytree(candidate, store / "b")
        values |= {"candidate": installed(store, "b", 2), "state": "trial"}
    return write_record(store, Record(**(values | changes)))


def installed(store: Path, slot: str, release: int) -> Installed:
    digest = open_bundle(store / slot).digest
    return Installed(slot=slot, release=release, digest=digest, campaign=f"c{release}")
