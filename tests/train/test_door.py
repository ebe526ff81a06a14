"""Errors that a user can mend are one sentence and an exit code; defects keep their traceback."""

import subprocess
import sys

import pytest

from vedette_train.door import run_door

APP = """
from vedette_edge.errors import ConfigError, DataError, UsageError
def app(prog_name):
    assert prog_name == "vedette-tool"
    {act}
"""
BLOCKED = """
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
sys.argv = {arguments!r}
from {room}.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def opened(monkeypatch, tmp_path, request):
    """Open the door of an application that does one thing; return its exit code."""

    def open_door(act):
        name = f"door_app_{abs(hash(request.node.name))}"
        (tmp_path / f"{name}.py").write_text(APP.format(act=act))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return run_door("vedette-tool", name, extra="train")

    return open_door


@pytest.mark.parametrize(
    ("act", "code", "printed"),
    [
        ("return None", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(0)", 0, ""),
        ("raise SystemExit(2)", 2, ""),
        ("raise SystemExit('text')", 1, ""),
        ("raise DataError('no videos')", 1, "vedette-tool: error: no videos\n"),
        ("raise ConfigError('wrong key')", 2, "vedette-tool: error: wrong key\n"),
        ("raise UsageError('twice')", 2, "vedette-tool: error: twice\n"),
        ("raise DataError('yaml says:\\n   line 1')", 1, "vedette-tool: error: yaml says: line 1\n"),
        ("raise KeyboardInterrupt", 130, "vedette-tool: interrupted\n"),
        ("raise SystemExit(130)", 130, "vedette-tool: interrupted\n"),
        (
            "import no_such_library",
            1,
            "vedette-tool: error: this needs 'no_such_library', which is not installed: "
            "run  pip install 'vedette[train]'\n",
        ),
    ],
)
def test_an_end_has_a_code_and_at_most_one_sentence(act, code, printed, opened, capsys):
    assert opened(act) == code
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize(
    ("act", "error"),
    [("raise ValueError('defect')", ValueError), ("import vedette_train.nothing", ModuleNotFoundError)],
)
def test_a_defect_keeps_its_traceback(act, error, opened):
    with pytest.raises(error):
        opened(act)


@pytest.mark.parametrize(
    ("room", "module", "arguments", "extra"),
    [
        ("vedette_train", "typer", ["--help"], "train"),
        ("vedette_train", "torch", ["fit", "demo", "--data", "."], "train"),
        ("vedette_train", "lightning", ["crossval", "demo", "--data", "."], "train"),
        ("vedette_converters", "rich", ["--help"], "convert"),
        ("vedette_converters", "onnx", ["run", "--out", "bundle"], "convert"),
    ],
)
def test_a_missing_library_names_the_extra_that_brings_it(room, module, arguments, extra, tmp_path):
    code = BLOCKED.format(module=module, arguments=["vedette", *arguments], room=room)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    sentence = f"this needs '{module}', which is not installed: run  pip install 'vedette[{extra}]'\n"
    assert (done.returncode, done.stderr.partition("error: ")[2]) == (1, sentence)
    assert done.stdout == ""
