import pytest

from vedette_converters.targets import TARGETS, target
from vedette_edge.errors import MissingExtraError


@pytest.mark.parametrize(
    ("runtime", "extra"),
    [("onnx", "convert"), ("openvino", "convert-openvino"), ("tflite", "convert-tflite")],
)
def test_a_missing_library_names_the_extra_that_writes_for_the_runtime(runtime, extra, monkeypatch):
    monkeypatch.setitem(TARGETS, runtime, "a_library_that_is_not_there")
    with pytest.raises(MissingExtraError, match=rf"'a_library_that_is_not_there'.*'vedette\[{extra}\]'"):
        target(runtime)
