from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from tuning_helpers import LABELS, decision, sample

from vedette_edge.config import DecisionOverride
from vedette_edge.tuning.figures import Figures, figures_of
from vedette_edge.tuning.report import curve, decision_section, footage_text, report
from vedette_edge.tuning.search import neighbours
from vedette_edge.tuning.trials import run_trials

SAMPLES = [
    sample("fight", [0.9, 0.9], 1),
    sample("fight", [0.4, 0.4], 2),
    sample("calm", [0.1] * 1798, 3),
    sample("calm", [0.7, 0.1], 4),
]
SOME = Figures(found=3, actions=4, false_alarms=2, quiet_alarms=1, quiet_hours=0.5, delays=(1.0, 2.0, 4.0))


def test_it_says_how_much_there_was():
    text = footage_text(SAMPLES, run_trials(SAMPLES, [decision()], LABELS))
    assert (
        text == "4 clips in 4 groups, 2 to 1798 windows each: 2 with an action (0.001 h), 2 without (0.500 h)"
    )


def test_each_figure_stands_with_its_interval_and_its_count():
    text = report(SOME, SOME, folds=4, bound=5.0)
    assert "Held out: 4 parts by group" in text
    assert "recall             0.750 [0.301, 0.954]  3 of 4 actions" in text
    assert "precision          0.600 [0.231, 0.882]  3 of 5 events" in text
    assert "false alarms/h     2.0 [0.1, 11.1]  1 in 0.500 h" in text
    assert "time to alert      median 2.00 s, p95 3.80 s" in text


def test_it_says_how_the_rate_is_extrapolated_and_when_the_footage_is_too_short_for_the_bound():
    text = report(SOME, SOME, folds=4, bound=5.0)
    assert "divided by that time" in text
    assert "7.4 an hour could still be. For that, give 0.7 h or more" in text
    assert "too little" not in report(SOME, SOME, folds=4, bound=7.5)


def test_it_says_when_no_rules_keep_the_bound():
    assert "No rules that were tried keep to 1 false alarms" in report(SOME, SOME, folds=4, bound=1.0)
    assert "No rules" not in report(SOME, SOME, folds=4, bound=2.0)


def test_nothing_found_is_told_without_a_figure():
    nothing = Figures(found=0, actions=4, false_alarms=0, quiet_alarms=0, quiet_hours=1.0, delays=())
    text = report(nothing, nothing, folds=2, bound=1.0)
    assert "time to alert      none found" in text
    assert "precision          no event" in text


def test_the_curve_marks_what_was_chosen_and_falls_with_the_threshold():
    chosen = decision(on_threshold=0.8, off_threshold=0.4)
    trials = run_trials(SAMPLES, neighbours(SAMPLES, chosen, LABELS), LABELS)
    lines = curve(trials, chosen).splitlines()[2:]
    assert len(lines) == len(trials.decisions)
    (marked,) = [line for line in lines if line.startswith("->")]
    assert marked.split() == ["->", "0.8000", "0.500", "1.000", "0.0", "1.00"]
    recalls = [float(line.removeprefix("->").split()[1]) for line in lines]
    assert recalls == sorted(recalls, reverse=True)
    assert lines[-1].split()[-1] == "-"


@pytest.mark.parametrize("count", [1, 12, 40])
def test_a_long_curve_is_thinned_and_keeps_the_chosen(count):
    samples = [*SAMPLES, *(sample("fight", [number / count], number) for number in range(count))]
    rules = [decision(on_threshold=number / 50, off_threshold=0.0) for number in range(1, count + 1)]
    for chosen in rules[:: max(1, count // 4)]:
        lines = curve(run_trials(samples, rules, LABELS), chosen).splitlines()[2:]
        assert len(lines) in (min(count, 12), min(count, 12) + 1)
        assert sum(line.startswith("->") for line in lines) == 1


def test_the_section_can_be_pasted_below_a_camera():
    rules = decision(k=2, n=3, smoothing=4)
    text = decision_section(rules, SOME, bundle="0123456789abcdef" * 4, bound=5.0)
    loaded = yaml.safe_load(text)
    assert loaded == {"decision": rules.model_dump()}
    DecisionOverride.model_validate_json(json.dumps(loaded["decision"]))
    assert "# recall             0.750 [0.301, 0.954]" in text
    assert "for the model 0123456789abcdef, at most 5 false alarms an hour" in text


def test_each_clip_can_have_rules_of_its_own():
    trials = run_trials(SAMPLES, [decision(on_threshold=0.3), decision(on_threshold=0.8)], LABELS)
    assert figures_of(trials, np.array([1, 0, 0, 1])).quiet_alarms == 0
    assert figures_of(trials, np.array([1, 1, 0, 0])).quiet_alarms == 1
