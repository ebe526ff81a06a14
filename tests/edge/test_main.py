from __future__ import annotations

import pytest
from edge_helpers import free_port, run_agent_process, write_config

from vedette_edge import __main__, __version__
from vedette_edge.__main__ import main


@pytest.mark.parametrize("command", [(), ("run",), ("check-config",), ("watch",), ("benchmark",), ("tune",)])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "example: edge-agent" in " ".join(capsys.readouterr().out.split())


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"edge-agent {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run",),
        ("watch", "--count", "many"),
        ("watch", "--site", "a/#"),
        ("check-config", "a", "b"),
        ("benchmark",),
    ],
)
def test_bad_use_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: edge-agent" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["everywhere", "0.0.0.0:1883"])
def test_a_bad_address_ends_with_2(where, capsys):
    assert main(["run", "--config", "x", "--embedded-broker", where]) == 2
    assert where in capsys.readouterr().err


def test_a_good_configuration_is_called_right(tmp_path, shared_bundle, flash_video, capsys):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1)
    assert main(["check-config", str(config)]) == 0
    assert "right, 1 camera(s), model 'brightness', variant 'onnx-fp32'" in capsys.readouterr().out


def test_a_configuration_is_checked_also_where_its_bundle_is_not(tmp_path, flash_video, capsys):
    config = write_config(tmp_path / "c.yaml", tmp_path / "gone", flash_video, 1)
    assert main(["check-config", str(config)]) == 0
    assert "is not there, not checked" in capsys.readouterr().out


def test_an_unknown_variant_ends_with_1(tmp_path, shared_bundle, flash_video, capsys):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1, variant="int8")
    assert main(["check-config", str(config)]) == 1
    assert "no variant 'int8'" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(monkeypatch):
    def interrupted(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "run_command", interrupted)
    assert main([]) == 130


def test_the_module_is_the_door():
    result = run_agent_process("watch", "--broker", f"127.0.0.1:{free_port()}", "--wait", "0")
    assert result.returncode == 1
