from __future__ import annotations

import json
import re
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from edge_helpers import write_config

from vedette_edge.__main__ import main
from vedette_edge.bundle import open_bundle
from vedette_edge.config import CameraConfig, check_cameras, load_config, rules_for
from vedette_edge.decision import Rule
from vedette_edge.errors import ConfigError
from vedette_edge.schedule import Period, Schedule

GATE = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
NIGHT = {"time_zone": "Europe/Berlin", "periods": [{"days": ["fri"], "start": "22:00", "end": "06:00"}]}
ALWAYS = {"periods": [{"start": "00:00", "end": "00:00"}]}


def camera(**changes):
    values = {"id": "door", "source": {"type": "file", "path": "x"}}
    return CameraConfig.model_validate_json(json.dumps(values | changes))


@pytest.fixture
def manifest(shared_bundle):
    return open_bundle(shared_bundle).manifest


@pytest.fixture
def load(tmp_path, shared_bundle):
    """Load a configuration whose one camera has the given settings; return its path and what it says."""

    def load(bundle=shared_bundle, **changes):
        cameras = [{"id": "door", "source": {"type": "file", "path": "x"}} | changes]
        path = write_config(tmp_path / "c.yaml", bundle, tmp_path / "x.mp4", 1, cameras=cameras)
        return path, load_config(path)

    return load


def test_without_rules_each_alarming_label_goes_by_the_camera_alone(manifest):
    assert rules_for(camera(), manifest) == (Rule(1, manifest.decision),)


def test_a_rule_lies_over_the_camera_which_lies_over_the_bundle(manifest):
    one = camera(
        labels=["calm", "bright"],
        decision={"cooldown": 9.0, "n": 3},
        zones={"gate": GATE},
        rules={"bright": {"cooldown": 1.0, "k": 2, "zones": ["gate"], "share": 0.8}},
    )
    calm, bright = rules_for(one, manifest)
    defaults = manifest.decision
    assert calm == Rule(0, defaults.model_copy(update={"cooldown": 9.0, "n": 3}))
    assert bright.decision == defaults.model_copy(update={"cooldown": 1.0, "n": 3, "k": 2})
    assert (bright.zones, bright.share, bright.schedule) == (frozenset({"gate"}), 0.8, None)


def test_a_rules_schedule_replaces_the_cameras(manifest):
    friday = Schedule((Period(frozenset({4}), time(22), time(6)),), ZoneInfo("Europe/Berlin"))
    every = Schedule((Period(frozenset(range(7)), time(0), time(0)),))
    (rule,) = rules_for(camera(schedule=NIGHT), manifest)
    assert rule.schedule == friday
    (rule,) = rules_for(camera(schedule=NIGHT, rules={"bright": {"schedule": ALWAYS}}), manifest)
    assert rule.schedule == every


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"zones": {"gate": [[0, 0], [1, 1], [1, 0], [0, 1]]}}, "edges of a zone must not cross"),
        ({"zones": {"gate": [[0, 0], [0.5, 0.5], [1, 1]]}}, "must enclose a part"),
        ({"zones": {"gate": [[0, 0], [1, 1]]}}, r"zones\.gate"),
        ({"zones": {"Main Gate": GATE}}, "Main Gate"),
        ({"schedule": {"time_zone": "Europe/Berlim", "periods": NIGHT["periods"]}}, "no such time zone"),
        ({"schedule": {"time_zone": "../etc/passwd", "periods": NIGHT["periods"]}}, "no such time zone"),
        ({"schedule": {"time_zone": "Europe", "periods": NIGHT["periods"]}}, "no such time zone"),
        ({"schedule": {"periods": [{"start": 1320, "end": "06:00"}]}}, r"in quotes.*found 1320"),
        ({"schedule": {"periods": [{"start": "24:00", "end": "06:00"}]}}, '"00:00" to "23:59"'),
        ({"schedule": {"periods": [{"start": "20:00", "end": "06:00", "days": ["Fri"]}]}}, "Fri"),
        ({"schedule": {"periods": []}}, "periods"),
        ({"rules": {"bright": {"hop": 4}}}, r"rules\.bright\.hop: unknown key"),
        ({"rules": {"bright": {"share": 0}}}, r"rules\.bright\.share"),
        ({"rules": {"bright": {"zone": ["gate"]}}}, "did you mean 'zones'"),
    ],
)
def test_a_wrong_setting_is_named(load, changes, match):
    with pytest.raises(ConfigError, match=match):
        load(**changes)


MISTAKES = {
    "decision": {"n": 4, "cooldown": 3.0},
    "labels": ["bright"],
    "zones": {"gate": GATE},
    "rules": {
        "fire": {"k": 2},
        "calm": {"k": 1},
        "bright": {"k": 5, "off_threshold": 0.9, "zones": ["gate", "moon"]},
    },
}


def test_all_mistakes_of_the_rules_are_told_at_once(load, manifest):
    with pytest.raises(ConfigError) as caught:
        check_cameras(load(**MISTAKES)[1], {"main": manifest})
    text = str(caught.value)
    assert "rules: the model 'brightness' has no fire; it has: calm, bright" in text
    assert "rules: calm may not alarm; add it to labels, or drop it" in text
    assert "rules.bright.zones: there is no moon; there is: gate" in text
    assert "rules.bright: k (5) must not be above n (4); off_threshold (0.9) must not be above" in text


def test_k_above_n_is_told_also_where_each_stands_elsewhere(load, manifest):
    with pytest.raises(ConfigError, match=r"rules\.bright: .*k \(5\) must not be above n \(4\)"):
        check_cameras(load(decision={"n": 4}, rules={"bright": {"k": 5}})[1], {"main": manifest})


def test_a_mistake_of_the_camera_is_not_told_again_for_each_label(load, manifest):
    with pytest.raises(ConfigError) as caught:
        check_cameras(load(decision={"k": 2}, labels=["calm", "bright"])[1], {"main": manifest})
    assert str(caught.value).count("must not be above") == 1


def test_check_config_names_wrong_rules_and_ends_with_2(load, capsys):
    assert main(["check-config", str(load(**MISTAKES)[0])]) == 2
    assert "there is no moon" in capsys.readouterr().err


def test_zones_are_checked_also_where_the_bundle_is_not(load, tmp_path, capsys):
    path, _ = load(bundle=tmp_path / "gone", rules={"bright": {"zones": ["moon"]}})
    assert main(["check-config", str(path)]) == 2
    assert "there is no moon; there is: none" in capsys.readouterr().err


def test_the_guides_example_is_valid(tmp_path):
    guide = Path(__file__).parents[2] / "docs" / "decisions.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
    (tmp_path / "c.yaml").write_text("site: hall\nnode: node-1\nbundle: b\n" + example)
    config = load_config(tmp_path / "c.yaml")
    check_cameras(config, {})
    assert config.cameras[0].rules["Fight"].zones == ("gate",)
