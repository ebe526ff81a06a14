import sys

import numpy as np
import pytest
from edge_helpers import brightness_model

from vedette_converters.targets import Model
from vedette_converters.trial import _check, survive
from vedette_edge.errors import RuntimeBackendError
from vedette_edge.manifest import Variant

DRAFT = Variant.model_construct(
    name="trial", runtime="onnx", precision="fp32", mode="clip", files=(), state=()
)
CLIP = np.zeros((1, 3, 4, 32, 32), np.float32)


def test_a_sound_model_survives():
    survive(Model(((".onnx", brightness_model()),)), DRAFT, CLIP)


def test_what_the_runtime_says_is_passed_on():
    with pytest.raises(RuntimeBackendError, match=r"ONNX Runtime .* cannot load the model"):
        survive(Model(((".onnx", b"no model"),)), DRAFT, CLIP)


def test_a_runtime_that_dies_is_a_sentence():
    with pytest.raises(
        RuntimeBackendError, match=r"openvino dies of this model \(code -8: it said nothing\)"
    ):
        _check("openvino", [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGFPE)"])
