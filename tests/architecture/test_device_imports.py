from __future__ import annotations

import importlib.util
import pkgutil
import subprocess
import sys

import pytest

import vedette_edge

BLOCKED = ("torch", "torchvision", "onnx", "lightning", "openvino", "sklearn", "matplotlib", "amqtt")
SCRIPT = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is not on a device")

sys.meta_path.insert(0, Blocked())
for name in {modules}:
    importlib.import_module(name)
"""


def device_modules():
    found = pkgutil.walk_packages(vedette_edge.__path__, "vedette_edge.")
    names = [module.name for module in found if module.name != "vedette_edge.__main__"]
    if importlib.util.find_spec("onnxruntime") is None:
        names.remove("vedette_edge.runtimes.onnx")
    return sorted(names)


def run(modules):
    script = SCRIPT.format(blocked=set(BLOCKED), modules=modules)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_every_device_module_imports_without_training_and_export_libraries():
    modules = device_modules()
    assert len(modules) > 30
    result = run([*modules, "vedette_edge.__main__"])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("library", BLOCKED)
def test_the_block_blocks(library):
    result = run([library])
    assert result.returncode == 1
    assert f"{library} is not on a device" in result.stderr
