from __future__ import annotations

import shutil

import pytest
import yaml
from edge_helpers import edit_manifest, write_config, write_video

from vedette_edge.__main__ import main
from vedette_edge.config import load_config


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eight videos of 2 s in four groups, each with a bright and a dark one."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["path,label,group"]
    for label, parts in (("bright", [(2.0, True)]), ("calm", [(2.0, False)])):
        (folder / label).mkdir()
        for number in range(4):
            write_video(folder / label / f"{number}.mp4", *parts)
            rows.append(f"{label}/{number}.mp4,{label},{number}")
    (folder / "groups.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def tune(shared_bundle, clips, tmp_path):
    def tune(*more, bundle=shared_bundle, clips=clips):
        arguments = ["tune", "--bundle", bundle, "--clips", clips, "--cache", tmp_path / "cache", *more]
        return main([str(argument) for argument in arguments])

    return tune


def test_it_finds_rules_that_part_the_clips_and_tells_what_they_are_worth(tune, capsys):
    assert tune() == 0
    out, err = capsys.readouterr()
    assert "8 clips in 4 groups" in out
    assert "Held out: 4 parts by group" in out
    assert "4 of 4 actions" in out
    assert "0 in 0.002 h" in out
    assert "judging 8 of 8: calm/3.mp4" in err
    assert "trying rules" in err
    section = yaml.safe_load(out[out.index("# By edge-agent tune") :])
    assert set(section) == {"decision"}


def test_the_section_is_written_and_a_configuration_takes_it(tune, tmp_path, shared_bundle, flash_video):
    assert tune("--out", tmp_path / "decision.yaml") == 0
    section = yaml.safe_load((tmp_path / "decision.yaml").read_text())
    camera = {"id": "door", "source": {"type": "file", "path": str(flash_video)}} | section
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1, cameras=[camera])
    assert main(["check-config", str(config)]) == 0
    assert load_config(config).cameras[0].decision.model_dump() == section["decision"]


def test_a_second_run_asks_the_model_nothing(tune, tmp_path, capsys):
    assert tune() == 0
    first = capsys.readouterr().out
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert tune() == 0
    assert capsys.readouterr().out == first
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()} == kept
    assert len(kept) == 8


def test_it_begins_with_the_settings_of_a_camera(tune, tmp_path, shared_bundle, flash_video, capsys):
    source = {"type": "file", "path": str(flash_video)}
    cameras = [
        {"id": "door", "source": source},
        {
            "id": "yard",
            "source": source,
            "decision": {"hop": 1, "cooldown": 9.0},
            "rules": {"bright": {"on_threshold": 0.9}},
        },
    ]
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1, cameras=cameras)
    assert tune("--config", config, "--camera", "yard", "--out", tmp_path / "d.yaml") == 0
    decision = yaml.safe_load((tmp_path / "d.yaml").read_text())["decision"]
    assert (decision["hop"], decision["cooldown"]) == (1, 9.0)
    assert "rules, zones and schedules are left out" in capsys.readouterr().err


def test_a_clip_that_cannot_be_decoded_is_named_and_left_out(tune, clips, tmp_path, capsys):
    spoilt = shutil.copytree(clips, tmp_path / "spoilt")
    (spoilt / "calm" / "0.mp4").write_bytes(b"no video")
    assert tune(clips=spoilt) == 0
    out, err = capsys.readouterr()
    assert "left out: calm/0.mp4" in err
    assert "7 clips" in out


def test_clips_of_which_none_can_be_decoded_are_refused(tune, clips, tmp_path, capsys):
    spoilt = shutil.copytree(clips, tmp_path / "spoilt")
    for video in spoilt.glob("*/*.mp4"):
        video.write_bytes(b"no video")
    assert tune(clips=spoilt) == 1
    assert "not one of the clips could be decoded" in capsys.readouterr().err


def test_on_a_terminal_progress_is_one_line(tune, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert tune() == 0
    judging = capsys.readouterr().err.split("\n")[0]
    assert judging.count("\r") == 8
    assert judging.endswith("judging 8 of 8: calm/3.mp4")


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (["--groups", "none.csv"], 1, "none.csv: cannot read"),
        (["--config", "c.yaml"], 2, "--config and --camera belong together"),
        (["--variant", "int8"], 1, "no variant 'int8'"),
        (["--negative", "bright"], 2, "this label may alarm"),
        (["--out", "/nowhere/d.yaml"], 1, "/nowhere/d.yaml: cannot write"),
    ],
)
def test_what_cannot_be_done_is_told(tune, capsys, arguments, code, match):
    assert tune(*arguments) == code
    assert match in capsys.readouterr().err


def test_an_unknown_camera_is_named_with_those_there_are(tune, tmp_path, shared_bundle, flash_video, capsys):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1)
    assert tune("--config", config, "--camera", "roof") == 2
    assert "no camera 'roof'; there is: door" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-false-alarms-per-hour", "0"),
        ("--max-false-alarms-per-hour", "few"),
        ("--folds", "1"),
        ("--folds", "x"),
    ],
)
def test_wrong_numbers_are_refused(tune, arguments):
    with pytest.raises(SystemExit, match="2"):
        tune(*arguments)


def test_labels_that_the_model_does_not_know_are_negative_only_where_one_says_so(tune, bundle_dir, capsys):
    edit_manifest(bundle_dir, lambda values: values["labels"][0].update(name="quiet"))
    assert tune(bundle=bundle_dir) == 1
    assert "knows no label calm; it knows: quiet, bright" in capsys.readouterr().err
    assert tune("--negative", "calm", bundle=bundle_dir) == 0
    assert "4 without" in capsys.readouterr().out


def test_clips_without_any_action_are_refused(tune, bundle_dir, capsys):
    def silence(values):
        values["labels"][1]["alarm"] = False

    edit_manifest(bundle_dir, silence)
    assert tune(bundle=bundle_dir) == 1
    assert "there is nothing to find" in capsys.readouterr().err
