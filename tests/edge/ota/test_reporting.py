from __future__ import annotations

from types import SimpleNamespace

import pytest
from following_helpers import NEW, OLD, evidence_of, record_of

from vedette_edge.ota.payloads import ModelReport, OtaReport
from vedette_edge.ota.record import Outcome
from vedette_edge.ota.reporting import meaning, model_report, sentence

COMPARED = {"compared": 10, "agreed": 9}


def report(record, evidence=None, runs=OLD):
    return model_report(SimpleNamespace(name="fights", record=record, evidence=evidence), ("main",), runs)


def test_a_trial_is_told_with_its_starts_and_what_its_shadow_showed():
    found = report(record_of(), evidence_of(starts=2, shadow=COMPARED), NEW)
    assert (found.model, found.names, found.state) == ("fights", ("main",), "trial")
    assert (found.runs, found.candidate, found.starts) == (NEW, NEW, 2)
    assert found.shadow.agreed == 9


def test_evidence_of_another_candidate_is_not_told():
    found = report(record_of(), evidence_of(digest="c" * 64, starts=2, failed="bad", shadow=COMPARED))
    assert (found.starts, found.failed, found.shadow) == (0, "", None)


@pytest.mark.parametrize("end", ["committed", "rolled-back"])
def test_what_the_shadow_showed_is_told_after_the_end(end):
    outcome = Outcome(release=2, digest=NEW.digest, campaign="spring", result=end, ts=1.0)
    committed = NEW if end == "committed" else OLD
    found = report(record_of("idle", committed=committed, outcome=outcome), evidence_of(shadow=COMPARED))
    assert (found.shadow.compared, found.outcome) == (10, outcome)


def test_a_store_without_a_record_is_told_as_empty():
    found = report(None, runs=None)
    assert (found.model, found.state, found.runs) == ("fights", "idle", None)


def test_figures_that_only_go_on_are_no_news():
    one = report(record_of(), evidence_of(starts=1, seconds=1.0, shadow=COMPARED))
    other = report(record_of(), evidence_of(starts=1, seconds=9.0, verdicts=4, shadow=COMPARED))
    assert meaning(one) == meaning(other)
    for change in (evidence_of(starts=2), evidence_of(starts=1, failed="slow")):
        assert meaning(report(record_of(), change)) != meaning(one)
    assert meaning(report(record_of(seq=1), evidence_of(starts=1))) != meaning(one)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (report(record_of("idle")), "fights: release 1 runs (slot a), idle"),
        (
            report(record_of(), evidence_of(failed="it is slow")),
            "fights: release 1 runs (slot a), trial, release 2 is under way, it failed: it is slow",
        ),
        (
            report(record_of(), evidence_of(shadow=COMPARED), NEW),
            "fights: release 2 runs (slot b), trial, release 2 is under way, "
            "its shadow agreed in 9 of 10 verdicts",
        ),
        (
            report(
                record_of(
                    "idle",
                    outcome=Outcome(release=2, digest=NEW.digest, result="refused", reason="too big", ts=1.0),
                )
            ),
            "fights: release 1 runs (slot a), idle, release 2 was refused: too big",
        ),
    ],
)
def test_a_report_in_a_sentence(found, said):
    assert sentence(found) == said


def test_a_report_survives_the_wire():
    told = OtaReport(ts=1.0, boot="b", models=(report(record_of(), evidence_of(starts=1)),))
    assert OtaReport.model_validate_json(told.model_dump_json()) == told
    assert isinstance(told.models[0], ModelReport)
