"""What tuning found, as text for people and as a section for the configuration. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import yaml

from vedette_edge.manifest import Decision
from vedette_edge.tuning.figures import Figures, figures_of
from vedette_edge.tuning.intervals import Interval, rate
from vedette_edge.tuning.judged import Sample
from vedette_edge.tuning.trials import Trials

__all__ = ["curve", "decision_section", "footage_text", "report"]

_ROWS = 12


def footage_text(samples: Sequence[Sample], trials: Trials) -> str:
    """Return how much there was to tune on."""
    windows = [len(sample.judged.windows) for sample in samples]
    groups = len({sample.clip.group for sample in samples})
    with_action, quiet = int(trials.actions.sum()), int((~trials.actions).sum())
    hours = trials.seconds / 3600
    return (
        f"{len(samples)} clips in {groups} groups, {min(windows)} to {max(windows)} windows each: "
        f"{with_action} with an action ({hours[trials.actions].sum():.3f} h), "
        f"{quiet} without ({hours[~trials.actions].sum():.3f} h)"
    )


def report(held_out: Figures, in_sample: Figures, *, folds: int, bound: float) -> str:
    """Return the figures, those of clips that had no say first.

    Args:
        held_out: each clip under rules that were chosen without it.
        in_sample: all clips under the rules that were chosen on them.
        folds: parts that the groups were divided into.
        bound: on false alarms an hour.
    """
    lines = [
        f"Held out: {folds} parts by group, each judged by rules chosen on the others. [95 % interval]",
        *_lines(held_out),
        "",
        "Chosen: all clips, under the rules that were chosen on them; no measure of what is to come.",
        *_lines(in_sample),
        "",
        _extrapolation(held_out, bound),
    ]
    if in_sample.false_alarm_rate.value > bound:
        lines.append(
            f"No rules that were tried keep to {bound:g} false alarms an hour; these have the fewest."
        )
    return "\n".join(lines)


def curve(trials: Trials, chosen: Decision) -> str:
    """Return a table of what rules give that differ in their thresholds alone, on all clips.

    Args:
        trials: under these rules, in ascending order of their thresholds.
        chosen: the one of them that is marked.
    """
    count = len(trials.decisions)
    marked = trials.decisions.index(chosen)
    shown = {*np.linspace(0, count - 1, min(_ROWS, count)).round().astype(int).tolist(), marked}
    return "\n".join(
        [
            "Other thresholds, all else as chosen, on all clips:",
            "   on_threshold  recall  precision  false alarms/h  time to alert s",
            *(_row(trials, index, "->" if index == marked else "  ") for index in sorted(shown)),
        ]
    )


def decision_section(decision: Decision, held_out: Figures, *, bundle: str, bound: float) -> str:
    """Return the `decision` of a camera as YAML, to be pasted below it.

    Args:
        decision: the rules.
        held_out: what they are worth.
        bundle: SHA-256 of the manifest of the model that they are for.
        bound: on false alarms an hour.
    """
    lines = [
        f"By edge-agent tune, for the model {bundle[:16]}, at most {bound:g} false alarms an hour.",
        *(line.strip() for line in ["Held out:", *_lines(held_out)]),
    ]
    section = yaml.safe_dump({"decision": decision.model_dump()}, sort_keys=False)
    return "".join(f"# {line}\n" for line in lines) + section


def _lines(figures: Figures) -> list[str]:
    precision = figures.precision
    right = "no event" if precision is None else _interval(precision)
    median, late = figures.delay(0.5), figures.delay(0.95)
    events = figures.found + figures.false_alarms
    return [
        f"  recall             {_interval(figures.recall)}  {figures.found} of {figures.actions} actions",
        f"  precision          {right}  {figures.found} of {events} events",
        f"  false alarms/h     {_interval(figures.false_alarm_rate, 1)}  "
        f"{figures.quiet_alarms} in {figures.quiet_hours:.3f} h",
        "  time to alert      "
        + ("none found" if median is None or late is None else f"median {median:.2f} s, p95 {late:.2f} s"),
    ]


def _interval(figure: Interval, places: int = 3) -> str:
    value, low, high = (f"{number:.{places}f}" for number in figure)
    return f"{value} [{low}, {high}]"


def _extrapolation(figures: Figures, bound: float) -> str:
    least = rate(0, figures.quiet_hours).high
    text = (
        f"The hourly rate is the count in {figures.quiet_hours:.3f} h of clips without an action, divided by "
        "that time: these clips stand for what the camera sees when nothing happens."
    )
    if least > bound:
        text += (
            f" It is too little to show {bound:g} an hour: had there been none at all, {least:.1f} an hour "
            f"could still be. For that, give {rate(0, bound).high:.1f} h or more."
        )
    return text


def _row(trials: Trials, index: int, mark: str) -> str:
    figures = figures_of(trials, np.full(len(trials.seconds), index))
    precision = "-" if figures.precision is None else f"{figures.precision.value:.3f}"
    median = figures.delay(0.5)
    delay = "-" if median is None else f"{median:.2f}"
    on, recall, alarms = (
        trials.decisions[index].on_threshold,
        figures.recall.value,
        figures.false_alarm_rate.value,
    )
    return f"{mark} {on:12.4f}  {recall:6.3f}  {precision:>9}  {alarms:14.1f}  {delay:>15}"
