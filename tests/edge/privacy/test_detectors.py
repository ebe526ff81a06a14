from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edge_helpers import brightness_model
from onnx import TensorProto, helper

from vedette_edge.errors import ConfigError
from vedette_edge.privacy import Mosaic, open_detector
from vedette_edge.privacy.coco import COCO
from vedette_edge.privacy.detectors import decode_fastestdet
from vedette_edge.video import read_frames

DATA = Path(__file__).parents[4] / "shared" / "data"
WEIGHTS = DATA / "weights" / "fastestdet" / "FastestDet.onnx"
STREET = DATA / "surveillance" / "pedestrian_survaillance.mp4"
PERSON, CAR = COCO.index("person"), COCO.index("car")


def output(row=5, column=10, label=PERSON, object_score=0.9, class_score=0.8):
    """Return what FastestDet gives for one box, at its cell's corner: a quarter wide, half tall."""
    values = np.zeros((1, 85, 22, 22), np.float32)
    values[0, 0, row, column] = object_score
    values[0, 5 + label, row, column] = class_score
    values[0, 3:5, row, column] = -np.log(3.0), 0.0
    return values


def test_a_box_is_where_its_cell_says():
    (box,) = decode_fastestdet(output(), [PERSON], 0.3)
    assert (box.w, box.h) == pytest.approx((0.25, 0.5))
    assert (box.x, box.y) == pytest.approx((10 / 22 - 0.125, 5 / 22 - 0.25))


def test_the_offset_moves_a_box_by_up_to_a_cell():
    moved = output()
    moved[0, 1:3, 5, 10] = 100.0, -100.0
    (box,) = decode_fastestdet(moved, [PERSON], 0.3)
    assert (box.x, box.y) == pytest.approx((11 / 22 - 0.125, 4 / 22 - 0.25))


def test_only_asked_labels_above_the_threshold_count():
    score = 0.9**0.6 * 0.8**0.4
    assert decode_fastestdet(output(), [PERSON], score - 1e-3)
    assert not decode_fastestdet(output(), [PERSON], score + 1e-3)
    assert not decode_fastestdet(output(), [CAR], 0.3)
    assert decode_fastestdet(output(label=CAR), [PERSON, CAR], 0.3)


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 84, 22, 22)), np.zeros((85, 22, 22)), np.full((1, 85, 22, 22), np.nan)]
)
def test_outputs_of_another_kind_are_refused(wrong):
    with pytest.raises(ValueError, match="expected finite outputs"):
        decode_fastestdet(wrong.astype(np.float32), [PERSON], 0.3)


@pytest.mark.parametrize("kind", ["fastestdet", "yunet"])
@pytest.mark.parametrize("content", [None, b"", b"not a network", brightness_model()])
def test_a_file_that_is_no_such_detector_is_a_config_error(tmp_path, kind, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"model\.onnx: "):
        open_detector(kind, path, ["person"], 0.2)


def test_an_unknown_label_is_named_with_those_that_are_known(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"no persn.*person, bicycle"):
        open_detector("fastestdet", tmp_path / "model.onnx", ["persn"], 0.2)


def one_face(row, column, side=352):
    """Return a network with YuNet's outputs that sees a face of 32 pixels at one cell of 8 pixels."""
    outputs = []
    for stride in (8, 16, 32):
        cells = (side // stride) ** 2
        for name, values in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            constant = np.zeros((1, cells, values), np.float32)
            if stride == 8 and name in ("cls", "obj"):
                constant[0, row * (side // stride) + column] = 1.0
            if stride == 8 and name == "bbox":
                constant[0, :, 2:] = np.log(4.0)
            outputs.append((f"{name}_{stride}", constant))
    # The values are added to nothing of the picture, so that the network depends on it.
    nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0)]
    nodes += [helper.make_node("Mul", ["mean", "zero"], ["nothing"])]
    nodes += [helper.make_node("Add", [f"{name}_value", "nothing"], [name]) for name, _ in outputs]
    graph = helper.make_graph(
        nodes,
        "one-face",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs],
        [
            onnx.numpy_helper.from_array(np.zeros((), np.float32), "zero"),
            *(onnx.numpy_helper.from_array(value, f"{name}_value") for name, value in outputs),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_faces_are_found_where_yunet_says(tmp_path):
    (tmp_path / "yunet.onnx").write_bytes(one_face(row=10, column=20))
    detector = open_detector("yunet", tmp_path / "yunet.onnx", [], 0.5)
    (face,) = detector.find(np.full((352, 352, 3), 99, np.uint8))
    assert (face.x, face.y) == pytest.approx(((20 * 8 - 16) / 352, (10 * 8 - 16) / 352))
    assert (face.w, face.h) == pytest.approx((32 / 352, 32 / 352))


@pytest.fixture(scope="module")
def street():
    if not WEIGHTS.exists() or not STREET.exists():
        pytest.skip(f"needs {WEIGHTS} and {STREET}")
    return [frame.image for frame in read_frames(STREET)][::60]


@pytest.mark.realdata
def test_people_in_a_real_street_are_found_and_not_found_again_once_hidden(street):
    sure = open_detector("fastestdet", WEIGHTS, ["person"], 0.5)
    redactor = Mosaic(open_detector("fastestdet", WEIGHTS, ["person"], 0.2), 0.15)
    assert [bool(sure.find(image)) for image in street] == [True] * len(street)
    assert [sure.find(redactor.redact(image)) for image in street] == [[]] * len(street)
