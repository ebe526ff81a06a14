"""Every module of the workstation's rooms imports alone, has a docstring, and names what it offers.

Import order matters here: torchvision fails beside a PyTorch it was not built for, unless
`vedette_train.torchvision_compat` came before it. So a module that imports torchvision, or lightning,
which does, must import in a process where nothing was imported yet.
"""

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"vedette_train": ROOT / "train", "vedette_converters": ROOT / "converters"}
SENSITIVE = {"torchvision", "lightning", "torchmetrics"}

# Forks before each import, so that every module starts from a process that holds nothing of ours, nor of
# torchvision, lightning or torchmetrics: only large libraries that none of these heed.
ALONE = """
import importlib, os, sys, traceback
import matplotlib.figure, numpy, onnx, scipy.stats, sklearn.metrics, sklearn.model_selection, torch
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            module = importlib.import_module(name)
            public = getattr(module, "__all__", [])
            absent = [one for one in public if not hasattr(module, one)]
            assert not absent, f"__all__ names what is not there: {absent}"
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(f"cannot be imported alone: {failed}" if failed else 0)
"""


def name_of(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path, root): path
    for package, root in PACKAGES.items()
    for path in sorted((root / package).rglob("*.py"))
}


def tree_of(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imports_of(name):
    nodes = [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in sorted(nodes, key=lambda node: node.lineno):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        else:
            yield from (alias.name for alias in node.names)


def run_alone(*names):
    # Imports cover nothing that other tests do not, and under coverage they take twice as long.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, *names],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env=env | {"OMP_NUM_THREADS": "1"},
    )


def test_the_rooms_are_where_this_test_looks():
    assert {"vedette_train.fit", "vedette_converters.convert", "vedette_train.data"} <= set(MODULES)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_module_imports_alone():
    # Two halves, dealt so that both have modules that import much.
    names = list(MODULES)
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda half: run_alone(*half), (names[::2], names[1::2])):
            assert done.returncode == 0, done.stderr


def test_what_imports_torchvision_imports_the_remedy_before_it():
    for name in MODULES:
        order = list(imports_of(name))
        sensitive = [i for i, one in enumerate(order) if one.split(".")[0] in SENSITIVE]
        if not sensitive or name == "vedette_train.torchvision_compat":
            continue
        assert "vedette_train.torchvision_compat" in order, f"{name} does not import the remedy"
        assert order.index("vedette_train.torchvision_compat") < sensitive[0], name


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_and_what_it_offers(name):
    tree = tree_of(name)
    assert ast.get_docstring(tree), f"{name} has no docstring"
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]
    for public in found:
        # As ruff sorts them: constants, classes, functions.
        constants = [one for one in public if one.isupper()]
        classes = [one for one in public if one[0].isupper() and not one.isupper()]
        functions = [one for one in public if not one[0].isupper()]
        assert public == [*sorted(constants), *sorted(classes), *sorted(functions)]
        assert len(set(public)) == len(public)
