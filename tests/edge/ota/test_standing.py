from __future__ import annotations

import re

import pytest

from vedette_edge.ota.evidence import Evidence, write_evidence
from vedette_edge.ota.layout import Store, evidence_path
from vedette_edge.ota.record import Installed, Outcome, Record, Refused
from vedette_edge.ota.standing import Standing, lines_of, read_standing
from vedette_edge.ota.store import ModelStore

NOW = 1_000_000.0
OLD = Installed(slot="a", release=3, digest="a" * 64)
NEW = Installed(slot="b", release=4, digest="b" * 64)
BAD = Outcome(release=4, digest="b" * 64, result="refused", reason="its probe crashes", ts=NOW - 60)
TRIAL = Record(model="door", state="trial", since=NOW - 90, committed=OLD, candidate=NEW)


def lines(**changes):
    return lines_of([Standing(model="door", **changes)], NOW, width=200)


def test_what_is_under_way_is_one_line():
    seen = Evidence(digest=NEW.digest, phase="trial", starts=1, seconds=80.4, verdicts=40)
    (_, row) = lines(record=TRIAL, evidence=seen)
    assert re.split("  +", row) == [
        *("door", "trial", "1 min 30 s", "3 in a, aaaaaaaaaaaa", "4 in b, bbbbbbbbbbbb"),
        *("80 s, 40 verdicts, 1 starts", "-", "-"),
    ]
    assert "1 starts, failed" in lines(record=TRIAL, evidence=seen.model_copy(update={"failed": "x"}))[1]


def test_what_was_seen_of_another_candidate_or_phase_is_not_shown():
    seen = Evidence(digest=NEW.digest, phase="shadow", verdicts=40)
    assert "verdicts" not in lines(record=TRIAL, evidence=seen)[1]


def test_reasons_follow_the_table_each_once():
    refused = (Refused(release=2, digest="c" * 64, reason="too slow"),)
    record = Record(model="door", committed=OLD, refused=refused, outcome=BAD)
    _, row, *reasons = lines(record=record)
    assert "4 refused 1 min ago" in row
    assert row.endswith("  2")
    assert reasons == ["door: release 2 refused: too slow", "door: release 4 refused: its probe crashes"]
    refused += (Refused(release=4, digest=BAD.digest, reason=BAD.reason),)
    assert len(lines(record=record.model_copy(update={"refused": refused}))) == 4


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


def test_both_files_are_read(store, tmp_path):
    store.root.mkdir()
    assert read_standing(store, tmp_path, "door") == Standing(model="door")
    record = ModelStore(store.model("door")).write(TRIAL)
    assert read_standing(store, tmp_path, "door") == Standing(model="door", record=record)
    seen = Evidence(digest=NEW.digest, phase="trial")
    write_evidence(evidence_path(tmp_path, "door"), seen)
    assert read_standing(store, tmp_path, "door").evidence == seen


def test_what_cannot_be_read_is_said_beside_what_can(store, tmp_path):
    store.root.mkdir()
    record = ModelStore(store.model("door")).write(TRIAL)
    evidence_path(tmp_path, "door").parent.mkdir()
    evidence_path(tmp_path, "door").write_text("{")
    found = read_standing(store, tmp_path, "door")
    assert found.record == record
    assert "no valid evidence" in found.trouble
    store.model("door").record.write_text("{")
    found = read_standing(store, tmp_path, "door")
    _, row, reason = lines_of([found], NOW, width=200)
    assert row.split() == ["door", "?", *"------"]
    assert "no valid record" in reason
