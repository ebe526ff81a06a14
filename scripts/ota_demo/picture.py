"""The story in one picture: where each update stood, what the agent did, and each alarm, over time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

from ota_demo.device import Device
from vedette_edge.topics import Event

__all__ = ["draw"]

_COLOURS = {"probe": "tab:purple", "shadow": "tab:blue", "trial": "tab:orange"}
_OUTCOMES = {"commit": ("tab:green", "^"), "rollback": ("tab:red", "v"), "refused": ("tab:red", "v")}

_LEGEND = (
    "purple: probe, blue: shadow, orange: trial, with the release's number; green ^: committed, "
    "red v: refused or rolled back, x: the agent fell; ticks below: alarms; above: the steps of the story"
)


def draw(
    path: Path,
    steps: Sequence[tuple[float, str]],
    devices: Sequence[Device],
    events: Mapping[str, Sequence[Event]],
) -> None:
    """Write the picture.

    Args:
        path: of a PNG.
        steps: (Unix time, number) of each.
        devices: two or more, switched off.
        events: the messages about events of each device.
    """
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    zero = steps[0][0]
    figure, axes = plt.subplots(figsize=(14, 1.2 + 1.3 * len(devices)), layout="constrained")
    for row, device in enumerate(reversed(devices)):
        states = device.states
        for (begin, state, release), (end, following, _) in itertools.pairwise(states):
            if state in _COLOURS:
                axes.barh(row, end - begin, 0.3, begin - zero, color=_COLOURS[state])
                axes.annotate(str(release), (begin - zero, row + 0.17), fontsize=7, color=_COLOURS[state])
            came_to = "refused" if following == "idle" and state in _COLOURS else following
            if came_to in _OUTCOMES:
                colour, mark = _OUTCOMES[came_to]
                axes.plot(end - zero, row, mark, color=colour, markersize=8)
        axes.plot(
            [moment - zero for moment, _ in device.falls], [row] * len(device.falls), "kx", markersize=9
        )
        alarms = [one.start_time - zero for one in events[device.name] if one.type == "new"]
        axes.vlines(alarms, row - 0.35, row - 0.2, color="0.4", linewidth=1)
    for moment, number in steps:
        axes.axvline(moment - zero, color="0.85", zorder=0)
        axes.annotate(number, (moment - zero, len(devices) - 0.45), fontsize=8, color="0.4")
    axes.set(
        yticks=range(len(devices)),
        yticklabels=[one.name for one in reversed(devices)],
        ylim=(-0.5, len(devices) - 0.3),
        xlabel="seconds",
    )
    axes.set_title(_LEGEND, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
