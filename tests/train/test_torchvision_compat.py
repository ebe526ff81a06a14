"""Both sides: where torchvision's operators load nothing is done, elsewhere their schemas are defined."""

import subprocess
import sys

from vedette_train.torchvision_compat import define_missing_operators, operators_load

import pytest

# Stands in for a torchvision whose operators fit: loading its libraries succeeds.
FITTING = """
import torch
loaded = []
torch.ops.load_library = loaded.append
import vedette_train.torchvision_compat as compat
assert loaded and all(path.endswith(".so") for path in loaded), loaded
assert compat._fragment is None
assert not hasattr(torch.ops.torchvision, "nms")
"""
HERE = """
import vedette_train.torchvision_compat as compat
import torchvision
from torchvision.models import mobilenet_v2
from torchvision.transforms import v2
import torch
assert (compat._fragment is None) is compat.operators_load()
assert torch.ops.torchvision.nms.default
"""
WITHOUT_TORCHVISION = """
import sys, importlib.abc
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib.util
importlib.util.find_spec = lambda name: None
import vedette_train.torchvision_compat as compat
assert compat.operators_load() is False
"""


def load_nothing(_):
    raise OSError("undefined symbol")


@pytest.mark.parametrize("code", [HERE, FITTING, WITHOUT_TORCHVISION], ids=["here", "fitting", "without"])
def test_the_module_does_what_is_needed_and_no_more_in_a_fresh_process(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_operators_load_where_every_library_does():
    loaded = []
    assert operators_load(loaded.append)
    assert loaded
    assert operators_load(load_nothing) is False


def test_both_schemas_are_defined():
    class Library:
        """Remembers what it was asked to define."""

        def __init__(self):
            self.schemas = []

        def define(self, schema):
            self.schemas.append(schema)

    library = Library()
    define_missing_operators(library)
    assert [schema.partition("(")[0] for schema in library.schemas] == ["nms", "qnms"]
