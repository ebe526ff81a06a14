from __future__ import annotations

import json
import re

import pytest
import yaml

from vedette_edge.boards import BoardFacts, detect, load_profiles, with_defaults
from vedette_edge.boards.profiles import Match, Profile
from vedette_edge.config import AgentConfig, ModelConfig, load_config
from vedette_edge.errors import ConfigError
from vedette_edge.resources import resource

PROFILES = load_profiles()


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (BoardFacts("aarch64", compatible=("raspberrypi,4-model-b", "brcm,bcm2711")), "raspberry-pi-4"),
        (BoardFacts("aarch64", compatible=("raspberrypi,5-model-b", "brcm,bcm2712")), "raspberry-pi-5"),
        (BoardFacts("aarch64", compatible=("nvidia,p3450-0000", "nvidia,tegra210")), "jetson-nano"),
        (
            BoardFacts("aarch64", compatible=("nvidia,p3768-0000+p3767-0005", "nvidia,tegra234")),
            "jetson-orin",
        ),
        (BoardFacts("aarch64", compatible=("google,imx8mq-phanbell", "fsl,imx8mq")), "coral-dev-board"),
        (BoardFacts("x86_64", dmi="Intel(R) Client Systems NUC11TNHi5 NUC11TNBi5"), "intel-nuc"),
        (BoardFacts("x86_64", dmi="ASUSTeK COMPUTER INC. NUC14RVK NUC14RVB"), "intel-nuc"),
        (BoardFacts("x86_64", dmi="QEMU Standard PC"), "generic-x86"),
        (BoardFacts("aarch64", compatible=("acme,board",)), "generic-arm64"),
    ],
)
def test_each_board_is_recognised(facts, name):
    profile = detect(facts, PROFILES.values())
    assert profile is not None
    assert profile.name == name


def test_what_nobody_knows_has_no_profile():
    assert detect(BoardFacts("riscv64"), PROFILES.values()) is None


@pytest.mark.parametrize("profile", PROFILES.values(), ids=str)
def test_a_profile_is_right_in_all_that_it_names(profile):
    config = {"site": "a", "node": "b", "models": {"m": {"bundle": "x"}}}
    config["cameras"] = [{"id": "c", "source": {"type": "file", "path": "v.mp4"}}]
    merged = AgentConfig.model_validate_json(json.dumps(with_defaults(profile, config)))
    assert isinstance(merged.models["m"], ModelConfig)
    assert profile.udev is None or resource("firmware-configs", "udev", profile.udev).is_file()
    for line in profile.unit:
        assert re.match(r"# .*\.$|[A-Z][A-Za-z]+=.+$", line), line
    for pipeline in profile.pipelines.values():
        assert pipeline.format(sensor=0, width=1280, height=720, fps=25).endswith("format=BGR")


def test_what_the_user_says_counts_more_than_the_board():
    profile = Profile(
        name="b",
        title="B",
        match=Match(),
        runtimes=(),
        defaults={"governor": {"warm_celsius": 60.0, "hot_celsius": 70.0}},
        model_defaults={"threads": 2},
    )
    merged = with_defaults(
        profile, {"governor": {"hot_celsius": 99.0}, "models": {"m": {"bundle": "x", "threads": 4}, "n": {}}}
    )
    assert merged["governor"] == {"warm_celsius": 60.0, "hot_celsius": 99.0}
    assert merged["models"] == {"m": {"bundle": "x", "threads": 4}, "n": {"threads": 2}}
    assert with_defaults(profile, {"bundle": "x"})["threads"] == 2


def test_a_wrong_profile_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text("name: x\nmach: {}\n")
    with pytest.raises(ConfigError, match=r"x\.yaml: .*mach"):
        load_profiles(tmp_path)


def written(tmp_path, **changes):
    values = {
        "site": "a",
        "node": "b",
        "bundle": "x",
        "cameras": [{"id": "c", "source": {"type": "file", "path": "v"}}],
    }
    path = tmp_path / "agent.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def test_a_configuration_lies_over_its_boards_defaults(tmp_path):
    assert load_config(written(tmp_path, board="raspberry-pi-4")).governor.hot_celsius == 80.0
    assert load_config(written(tmp_path, board="none")).governor.hot_celsius == 90.0


@pytest.mark.parametrize("board", ["vax", 7, ["x"]])
def test_an_unknown_board_is_refused_with_those_that_are_known(tmp_path, board):
    with pytest.raises(ConfigError, match=r"agent\.yaml: board.*raspberry-pi-5"):
        load_config(written(tmp_path, board=board))
