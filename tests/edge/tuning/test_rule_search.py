from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_helpers import LABELS, decision, sample

from vedette_edge.errors import DataError
from vedette_edge.manifest import Decision
from vedette_edge.tuning.figures import figures_of
from vedette_edge.tuning.search import best, candidates, cross_validated, folds_of, neighbours
from vedette_edge.tuning.trials import run_trials


def clips(fights, calms):
    """Return clips of four windows with a constant score, each a group of its own."""
    return [
        sample(label, [score] * 4, f"{label}{number}")
        for label, scores in (("fight", fights), ("calm", calms))
        for number, score in enumerate(scores)
    ]


def searched(samples, given=None):
    given = given or decision()
    return run_trials(samples, candidates(samples, given, LABELS), LABELS)


def chosen(samples, bound=0.1, given=None):
    trials = searched(samples, given)
    index = best(trials, np.ones(len(samples), bool), bound)
    return trials.decisions[index], figures_of(trials, np.full(len(samples), index))


def test_where_scores_part_the_clips_all_is_found_and_nothing_is_wrong():
    rules, figures = chosen(clips([0.6, 0.7, 0.8], [0.1, 0.2, 0.55]))
    assert 0.55 < rules.on_threshold < 0.6
    assert (figures.found, figures.false_alarms) == (3, 0)


def test_the_bound_on_false_alarms_comes_before_recall():
    samples = clips([0.5, 0.7, 0.9], [0.1, 0.2, 0.6])
    strict, figures = chosen(samples, bound=1.0)
    assert (figures.found, figures.quiet_alarms) == (2, 0)
    assert strict.on_threshold > 0.6
    # One false alarm in three clips of 4 s is 300 an hour.
    _, figures = chosen(samples, bound=301.0)
    assert (figures.found, figures.quiet_alarms) == (3, 1)


def test_smoothing_is_chosen_where_single_windows_mislead():
    flicker = [0.1, 0.95, 0.1, 0.1, 0.95, 0.1, 0.1, 0.1]
    steady = [0.2, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
    samples = [sample("fight", steady, n) for n in range(3)] + [
        sample("calm", flicker, f"c{n}") for n in range(3)
    ]
    rules, figures = chosen(samples)
    assert (figures.found, figures.false_alarms) == (3, 0)
    assert (rules.smoothing, rules.k, rules.min_duration) != (1, 1, 0.0)


def test_where_others_are_no_better_the_given_rules_stay():
    given = decision(on_threshold=0.45, off_threshold=0.4, cooldown=7.0)
    assert chosen(clips([0.9, 0.8], [0.1, 0.2]), given=given)[0] == given


def test_candidates_are_valid_differ_and_are_never_left_without_an_end():
    found = candidates(clips([0.05, 0.9], [0.01, 0.2]), decision(), LABELS)
    assert found[0] == decision()
    assert len(set(found)) == len(found)
    for rules in found:
        assert Decision.model_validate(rules.model_dump()) == rules
        assert 0 < rules.off_threshold <= rules.on_threshold


def test_clips_of_one_window_are_not_tried_with_rules_that_need_more():
    found = candidates([sample("fight", [0.9]), sample("calm", [0.1])], decision(), LABELS)
    assert {(one.smoothing, one.n) for one in found} == {(1, 1)}
    assert max(one.min_duration for one in found) <= 1.0


def test_neighbours_differ_in_their_thresholds_alone_and_hold_the_chosen():
    samples = clips([0.3, 0.5, 0.9], [0.1, 0.2])
    rules = decision(on_threshold=0.4, off_threshold=0.2, smoothing=2)
    found = neighbours(samples, rules, LABELS)
    assert rules in found
    assert [one.on_threshold for one in found] == sorted({one.on_threshold for one in found})
    for one in found:
        assert one.model_copy(update={"on_threshold": 0.4, "off_threshold": 0.2}) == rules
        assert one.off_threshold == pytest.approx(one.on_threshold / 2)


def test_held_out_clips_have_no_say_in_their_rules():
    samples = clips([0.6, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.95])
    folds = folds_of(samples, LABELS, 4)
    trials = searched(samples)
    rules = cross_validated(trials, folds, 1.0)
    for part in set(folds):
        others = np.array([fold != part for fold in folds])
        assert {rules[i] for i in range(len(samples)) if folds[i] == part} == {best(trials, others, 1.0)}
    # The clip at 0.95 is a false alarm only where the others chose.
    assert figures_of(trials, rules).quiet_alarms == 1
    assert chosen(samples, 1.0)[1].quiet_alarms == 0


@given(
    st.lists(st.tuples(st.sampled_from(["fight", "calm"]), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(2, 6),
)
def test_groups_stay_whole_and_each_choice_has_clips_of_both_kinds(clips, count):
    samples = [sample(label, [0.5], group) for label, group in clips]
    groups = {kind: {group for label, group in clips if label == kind} for kind in ("fight", "calm")}
    try:
        folds = folds_of(samples, LABELS, count)
    except DataError:
        assert min(map(len, groups.values())) < 2
        return
    of_group = {}
    for one, fold in zip(samples, folds, strict=True):
        assert of_group.setdefault(one.clip.group, fold) == fold
    for part in set(folds):
        rest = {one.clip.label for one, fold in zip(samples, folds, strict=True) if fold != part}
        assert rest == {"fight", "calm"}


def test_folds_have_much_the_same_clips():
    samples = clips([0.5] * 20, [0.5] * 20)
    folds = folds_of(samples, LABELS, 5)
    for label in ("fight", "calm"):
        counts = [
            sum(f == part and s.clip.label == label for s, f in zip(samples, folds, strict=True))
            for part in range(5)
        ]
        assert counts == [4] * 5


def test_too_few_groups_are_refused_with_the_reason():
    samples = [
        sample("fight", [0.5], 1),
        sample("fight", [0.5], 1),
        sample("calm", [0.5], 2),
        sample("calm", [0.5], 3),
    ]
    with pytest.raises(DataError, match="with an action lie in fewer than two parts"):
        folds_of(samples, LABELS, 5)
