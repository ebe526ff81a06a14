from __future__ import annotations

import io
import json
import logging

import pytest

from vedette_edge.logs import configure_logs


@pytest.fixture(autouse=True)
def restored():
    root, ours = logging.getLogger(), logging.getLogger("vedette_edge")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before


def test_json_lines_carry_time_level_logger_message_and_extra_fields():
    stream = io.StringIO()
    configure_logs("json", stream)
    logging.getLogger("vedette_edge.x").info("seen %d", 3, extra={"camera": "door"})
    line = json.loads(stream.getvalue())
    assert line.pop("ts").endswith("+00:00")
    assert line == {"level": "info", "logger": "vedette_edge.x", "message": "seen 3", "camera": "door"}


def test_a_traceback_stays_on_its_json_line():
    stream = io.StringIO()
    configure_logs("json", stream)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.getLogger("vedette_edge").exception("defect")
    assert "RuntimeError: broken" in json.loads(stream.getvalue())["traceback"]


def test_people_get_a_line_and_libraries_only_their_warnings():
    stream = io.StringIO()
    configure_logs("human", stream)
    logging.getLogger("other").info("chatter")
    logging.getLogger("vedette_edge").info("hello")
    assert stream.getvalue().rstrip().endswith("INFO    hello")
    assert stream.getvalue().count("\n") == 1
