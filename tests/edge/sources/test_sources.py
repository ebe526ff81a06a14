from __future__ import annotations

import json
import typing

import pytest

from vedette_edge.config.sources import SourceConfig
from vedette_edge.sources import SOURCES, open_source

URLS = {"rtsp": "rtsp://camera/a", "mjpeg": "http://camera/a"}
SECTIONS = typing.get_args(typing.get_args(SourceConfig)[0])


def kind_of(section):
    return typing.get_args(section.model_fields["type"].annotation)[0]


def test_each_section_of_the_configuration_has_its_kind_of_source():
    assert {kind_of(section) for section in SECTIONS} == set(SOURCES)


@pytest.mark.parametrize("section", SECTIONS, ids=kind_of)
def test_a_source_is_built_from_its_section(section):
    kind = kind_of(section)
    given = {"path": "a", "pipeline": "videotestsrc", "url": URLS.get(kind)}
    required = {name: given[name] for name in section.model_fields if name in given}
    config = section.model_validate_json(json.dumps(required | {"type": kind}))
    assert open_source(kind, config.options(), lambda _seconds: True, lambda: 0.0)
