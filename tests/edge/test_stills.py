from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from vedette_edge.stills import encode, suffix_of

GREY = np.full((120, 160, 3), 90, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def decoded(still):
    return cv2.imdecode(np.frombuffer(still.data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("to", ["jpeg", "webp"])
def test_quality_falls_and_then_the_size_until_it_fits(to):
    full = encode(NOISE, to=to)
    smaller = encode(NOISE, to=to, max_bytes=len(full.data) * 2 // 3)
    tiny = encode(NOISE, to=to, max_bytes=3000)
    assert len(smaller.data) <= len(full.data) * 2 // 3
    assert len(tiny.data) <= 3000
    assert decoded(smaller).shape == (240, 320, 3)
    assert (tiny.height, tiny.width) == decoded(tiny).shape[:2]
    assert tiny.height < 240


@pytest.mark.parametrize("to", ["jpeg", "webp"])
def test_a_bound_that_cannot_be_met_still_ends(to):
    assert encode(GREY, to=to, max_bytes=10).data


@pytest.mark.parametrize(
    ("to", "kind", "suffix"), [("jpeg", "image/jpeg", ".jpg"), ("webp", "image/webp", ".webp")]
)
@pytest.mark.parametrize("quality", [20, 95])
def test_a_still_is_what_it_says(to, kind, suffix, quality):
    still = encode(GREY, to=to, quality=quality)
    assert (still.format, still.content_type, suffix_of(still.data)) == (to, kind, suffix)
    assert (still.width, still.height) == (160, 120)
    assert still.sha256 == hashlib.sha256(still.data).hexdigest()
    assert cv2.absdiff(decoded(still), GREY).max() < 12
