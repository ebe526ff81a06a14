from __future__ import annotations

import re

import pytest
import yaml

from vedette_edge.boards import load_profiles, with_pipelines
from vedette_edge.config import load_config
from vedette_edge.sources.gstreamer import launch_line

PROFILES = load_profiles()
NAMED = [(profile, name) for profile in PROFILES.values() for name in profile.pipelines]


def document(**source):
    return {"cameras": [{"id": "door", "source": {"type": "gstreamer"} | source}]}


def pipeline_of(profile, **source):
    return with_pipelines(profile, document(**source))["cameras"][0]["source"]["pipeline"]


@pytest.mark.parametrize(("profile", "name"), NAMED, ids=lambda one: getattr(one, "name", one))
def test_a_name_becomes_the_boards_pipeline_without_gaps(profile, name):
    found = pipeline_of(profile, pipeline=name, sensor=3, width=640, height=480, fps=15)
    assert not re.search(r"[{}]", found)
    line = launch_line(found, 7)
    assert "video/x-raw,format=BGR" not in line
    assert any("width=640,height=480,framerate=15/1" in word for word in line)


def test_a_pipeline_of_ones_own_stays():
    assert pipeline_of(PROFILES["jetson-orin"], pipeline="videotestsrc") == "videotestsrc"


@pytest.mark.parametrize(
    "wrong", [{}, {"cameras": 3}, {"cameras": ["a", {"source": 1}]}, document(pipeline=["csi"]), document()]
)
def test_what_is_not_valid_stays_for_the_validation(wrong):
    assert with_pipelines(PROFILES["jetson-orin"], wrong) == wrong


def test_a_configuration_names_a_pipeline_of_its_board(tmp_path):
    path = tmp_path / "c.yaml"
    values = document(pipeline="csi", sensor=1) | {
        "site": "s",
        "node": "n",
        "bundle": "b",
        "board": "jetson-orin",
    }
    path.write_text(yaml.safe_dump(values))
    assert load_config(path).cameras[0].source.pipeline.startswith("nvarguscamerasrc sensor-id=1 ! ")
