import pytest

from vedette_converters.plan import Plan, choices
from vedette_edge.errors import UsageError
from vedette_edge.manifest import Runtime


def test_a_causal_network_also_streams_unless_told_otherwise():
    assert [wish.name for wish in Plan().wishes(causal=False)] == ["onnx-fp32-clip"]
    assert [wish.name for wish in Plan().wishes(causal=True)] == ["onnx-fp32-clip", "onnx-fp32-stream"]
    assert [wish.mode for wish in Plan(modes=("clip",)).wishes(causal=True)] == ["clip"]


def test_every_runtime_is_asked_for_every_precision():
    plan = Plan(("onnx", "tflite"), ("fp32", "int8"), ("clip",))
    assert [wish.name for wish in plan.wishes(causal=False)] == [
        "onnx-fp32-clip",
        "onnx-int8-clip",
        "tflite-fp32-clip",
        "tflite-int8-clip",
    ]


def test_a_list_is_read_in_order_and_each_name_once():
    assert choices(" tflite,onnx,tflite ", "--runtimes", Runtime) == ["tflite", "onnx"]


@pytest.mark.parametrize("text", ["onx", "", "onnx,tensorrt"])
def test_an_unknown_name_is_answered_with_those_there_are(text):
    with pytest.raises(UsageError, match=r"--runtimes: got .*, expected some of: onnx, openvino, tflite"):
        choices(text, "--runtimes", Runtime)
