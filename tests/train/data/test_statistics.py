"""Per channel, over the right axis, whatever the arrays' number and length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_helpers import input_spec

from vedette_edge.manifest import FlowSpec
from vedette_train.data.statistics import channel_statistics, input_statistics


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 150), min_size=1, max_size=4),
    channels=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_the_statistics_are_those_of_all_values_of_a_channel(lengths, channels, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 255, (length, 3, 2, channels), dtype=np.uint8) for length in lengths]
    found = channel_statistics(iter(arrays))
    together = np.concatenate([array.reshape(-1, channels) for array in arrays]).astype(np.float64)
    np.testing.assert_allclose(found.mean, together.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, together.std(axis=0), rtol=1e-6, atol=1e-6)


def test_a_channel_is_the_last_axis():
    # Five frames of five channels: over the wrong axis every channel would have the same numbers.
    clip = np.zeros((5, 4, 4, 5))
    clip[:] = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = channel_statistics([clip])
    assert found.mean == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert found.std == (0.0,) * 5
    published = clip.reshape(5, -1)
    assert published.mean(axis=1) == pytest.approx([3.0] * 5)


def test_nothing_has_no_statistics():
    with pytest.raises(ValueError, match="no values"):
        channel_statistics([])


def test_pictures_are_in_0_to_1_and_flow_in_pixels_of_the_input_over_its_bound():
    spec = input_spec(streams="rgb+flow", flow=FlowSpec(bound=10.0))
    frames = np.full((6, 2 * spec.height, 2 * spec.width, 3), (51, 102, 255), np.uint8)
    flow = np.full((6, 2 * spec.height, 2 * spec.width, 2), (4.0, -400.0), np.float16)
    found = input_statistics([(frames, flow)], spec)
    assert found["picture"].mean == pytest.approx((0.2, 0.4, 1.0))
    # Kept at twice the size, so half as far in the input; the second is cut.
    assert found["flow"].mean == pytest.approx((0.2, -1.0))
    assert "flow" not in input_statistics([(frames, None)], input_spec())
