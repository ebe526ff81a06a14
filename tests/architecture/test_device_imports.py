from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import vedette_edge
from vedette_edge.runtimes import RUNTIMES

BLOCKED = ("torch", "torchvision", "onnx", "lightning", "sklearn", "matplotlib", "amqtt")
# A device has one runtime, and which one that is concerns its own module alone.
LIBRARIES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "ai_edge_litert"}
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
    return sorted({module.name for module in found} - {"vedette_edge.__main__", *RUNTIMES.values()})


def run(modules, *, but=()):
    blocked = {*BLOCKED, *LIBRARIES.values()} - {*but}
    script = SCRIPT.format(blocked=blocked, modules=modules)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_every_device_module_imports_without_training_export_and_inference_libraries():
    modules = device_modules()
    assert len(modules) > 30
    result = run([*modules, "vedette_edge.__main__"])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_needs_its_own_library_alone(runtime):
    library = LIBRARIES[runtime]
    pytest.importorskip(library)
    result = run([RUNTIMES[runtime]], but=[library])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("library", [*BLOCKED, *LIBRARIES.values()])
def test_the_block_blocks(library):
    result = run([library])
    assert result.returncode == 1
    assert f"{library} is not on a device" in result.stderr
