"""Pictures of every kind become the same input."""

import cv2
import numpy as np
import pytest
from anomaly_helpers import tiny_anomaly

from vedette_edge.errors import DataError
from vedette_train.anomaly.images import as_tensor, read_image, read_mask

PATTERN = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm"])
def test_grey_pictures_become_colour(suffix, tmp_path):
    cv2.imwrite(str(tmp_path / f"grey{suffix}"), PATTERN)
    image = read_image(tmp_path / f"grey{suffix}")
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.repeat(PATTERN[:, :, None], 3, axis=2))


def test_colours_and_transparency_are_read(tmp_path):
    colour = np.dstack([PATTERN, PATTERN[::-1], PATTERN[:, ::-1]])
    cv2.imwrite(str(tmp_path / "colour.png"), colour)
    cv2.imwrite(str(tmp_path / "clear.png"), np.dstack([colour, PATTERN]))
    assert np.array_equal(read_image(tmp_path / "colour.png"), colour)
    assert np.array_equal(read_image(tmp_path / "clear.png"), colour)


@pytest.mark.parametrize(
    ("white", "value", "expected"), [(65535, 65535, 255), (4095, 4095, 255), (4095, 9000, 255)]
)
def test_16_bit_pictures_are_scaled_by_their_white(white, value, expected, tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((9, 9), value, np.uint16))
    assert (read_image(tmp_path / "deep.png", white) == expected).all()


@pytest.mark.parametrize("content", [b"", b"no picture at all", PATTERN.tobytes()])
def test_a_file_that_is_no_picture_is_named(content, tmp_path):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png: is not a picture"):
        read_image(tmp_path / "broken.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path / "missing.png")


def test_values_of_another_kind_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "float.tiff"), np.zeros((9, 9), np.float32))
    with pytest.raises(DataError, match="values are float32; expected a picture of 8 or 16 bit"):
        read_image(tmp_path / "float.tiff")


@pytest.mark.parametrize("size", [(20, 30), (500, 90), (64, 64)])
def test_any_size_becomes_the_network_s_input(size):
    spec = tiny_anomaly().spec
    image = np.full((*size, 3), (0, 0, 255), np.uint8)
    tensor = as_tensor(image, spec)
    assert tensor.shape == (3, 64, 64)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[:, 5, 5], (np.array([1, 0, 0]) - spec.mean) / spec.std, rtol=1e-5)


def test_a_mask_must_have_its_picture_s_size(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((4, 6), 255, np.uint8))
    assert read_mask(tmp_path / "mask.png", 4, 6).all()
    with pytest.raises(DataError, match="the mask is 6 x 4, its picture 4 x 6"):
        read_mask(tmp_path / "mask.png", 6, 4)
