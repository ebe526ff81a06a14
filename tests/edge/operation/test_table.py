from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operation_helpers import NOW, make_metrics, make_status, percentiles

from vedette_edge.operation.status import CameraState
from vedette_edge.operation.table import lines_of
from vedette_edge.ota.payloads import ModelReport


def lines(status=None, *, width=200, colour=False):
    return lines_of(status or make_status(), NOW, width=width, colour=colour)


def test_the_table_shows_node_broker_governor_cameras_and_models():
    assert lines() == [
        "hall/node-1  agent 0.1.0  process 42  up 1 d 2 h",
        "broker    broker:8883 connected, 5 messages waiting, capture to broker p95 20 ms",
        "memory    150 MiB with children, 62 degrees Celsius",
        "governor  step 2, longer-hop (80.0 degrees Celsius)",
        "",
        "CAMERA  STATUS   FPS   FRAMES  DROPPED  QUEUED  BACK  LAST EVENT                 REASON",
        "door    online   25.0  100     3        1       2     fight new, 1 min 30 s ago",
        "gate    offline  0.0   0       0        0       0     -                          no answer",
        "",
        "MODEL  VARIANT    RUNTIME  CALLS  P50 MS  P95 MS  FAILOVERS",
        "main   onnx-fp32  onnx     4      10.0    20.0    1",
    ]


def test_what_is_unknown_is_left_out():
    status = make_status(metrics=make_metrics(temperature_c=None, publish_ms=percentiles(count=0)))
    assert lines(status)[1:3] == [
        "broker    broker:8883 connected, 5 messages waiting",
        "memory    150 MiB with children",
    ]


def test_a_camera_without_figures_is_shown_nevertheless():
    status = make_status(metrics=make_metrics(cameras=()))
    assert lines(status)[6].split()[:4] == ["door", "online", "-", "-"]


def test_colours_mark_the_status_and_nothing_else():
    state = CameraState(id="online", status="online", reason="online", last_event=None)
    plain, painted = (lines(make_status(cameras=(state,)), colour=colour)[6] for colour in (False, True))
    assert painted.startswith("online  \x1b[32monline\x1b[0m")
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain


def test_a_reason_cannot_command_the_terminal():
    assert "\x1b" not in "".join(lines(make_status(reason="\x1b]0;title\x07")))


@given(st.integers(1, 300), st.text(max_size=50))
def test_no_line_is_wider_than_the_terminal(width, reason):
    assert all(len(line) <= width for line in lines(make_status(reason=reason), width=width))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (3601.0, "1 h 1 s"),
        (93_784.0, "1 d 2 h"),
        (-5.0, "0 s"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert lines(make_status(metrics=make_metrics(uptime=max(0.0, seconds))))[0].endswith(f"up {text}")


def test_a_model_that_is_updated_has_a_line_of_its_own():
    update = ModelReport(model="fights", names=("main",), state="idle", since=0.0, seq=1, runs=None)
    assert lines(make_status(updates=(update,)))[4] == "update    fights: nothing runs, idle"
