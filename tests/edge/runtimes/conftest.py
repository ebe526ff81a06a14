from __future__ import annotations

import pytest
from runtime_helpers import onnx_clip, onnx_stream, openvino_files, tflite_models


@pytest.fixture(scope="session")
def models():
    """The files of tiny models, by runtime and mode."""
    tflite = tflite_models()
    return {
        ("onnx", "clip"): [onnx_clip()],
        ("onnx", "stream"): [onnx_stream()],
        ("openvino", "clip"): openvino_files(onnx_clip()),
        ("openvino", "stream"): openvino_files(onnx_stream(), "past"),
        ("tflite", "clip"): [tflite["clip"]],
        ("tflite", "stream"): [tflite["stream"]],
        ("tflite", "int8"): [tflite["int8"]],
    }
