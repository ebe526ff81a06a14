"""Makes `import torchvision` work beside a PyTorch build that its compiled operators do not fit.

The registry's torchvision wheel is built for CUDA. Beside a CPU build of PyTorch its operators cannot
load, and `import torchvision` dies with "operator torchvision::nms does not exist", because it
registers shape functions for operators that were never defined. Defining the two schemas first cures
it: models and v2 transforms then work, and only the compiled operators themselves stay absent.

Import this module before torchvision, everywhere. Where the operators load it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

__all__ = ["define_missing_operators", "operators_load"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def operators_load(load: Callable[[str], None] = torch.ops.load_library) -> bool:
    """Tell whether torchvision's compiled operators load into this PyTorch.

    Args:
        load: loads a shared library, raising `OSError` where it does not fit.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so"))
    try:
        for library in libraries:
            load(str(library))
    except OSError:
        return False
    return bool(libraries)


def define_missing_operators(library: torch.library.Library) -> None:
    """Define the schemas that torchvision expects of its operators.

    Args:
        library: a fragment of the `torchvision` namespace; the schemas live as long as it does.
    """
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]


_fragment: torch.library.Library | None = None
if not operators_load():
    _fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    define_missing_operators(_fragment)
