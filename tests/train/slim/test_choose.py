"""Which channels leave: as many as asked for, never a whole layer, in multiples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vedette_edge.errors import ConfigError
from vedette_train.settings import validate
from vedette_train.slim.choose import channels_to_keep, rounded
from vedette_train.slim.settings import SlimSettings

scores = st.lists(
    st.lists(st.floats(0, 10, width=32), min_size=1, max_size=40).map(torch.tensor), min_size=1, max_size=6
)
shares = st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)).map(sorted)


@given(scores, shares, st.sampled_from(["global", "layer"]))
def test_the_weakest_leave_and_no_layer_loses_more_than_it_may(scores, shares, scope):
    ratio, most = shares
    kept = channels_to_keep(scores, SlimSettings(ratio=ratio, max_ratio=most, scope=scope))
    for one, stays in zip(scores, kept, strict=True):
        assert stays == tuple(sorted(set(stays)))
        assert len(stays) >= max(1, len(one) - most * len(one) - 1e-6)
        gone = set(range(len(one))) - set(stays)
        assert max((float(one[i]) for i in gone), default=0) <= min(float(one[i]) for i in stays)
    removed = sum(map(len, scores)) - sum(map(len, kept))
    assert removed <= ratio * sum(map(len, scores)) + 1e-6


def test_globally_a_layer_of_weak_channels_loses_more():
    weak, strong = torch.arange(10.0), torch.arange(10.0) + 5
    kept = channels_to_keep([weak, strong], SlimSettings(ratio=0.5))
    assert [len(one) for one in kept] == [2, 8]
    kept = channels_to_keep([weak, strong], SlimSettings(ratio=0.5, scope="layer"))
    assert kept == [(5, 6, 7, 8, 9)] * 2
    kept = channels_to_keep([torch.zeros(10), strong], SlimSettings(ratio=0.5, max_ratio=0.6))
    assert [len(one) for one in kept] == [4, 6]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 32))
def test_widths_are_multiples_or_as_they_were(kept, channels, multiple):
    found = rounded(min(kept, channels), channels, multiple)
    assert 1 <= found <= channels
    assert found % multiple == 0 or found == channels
    assert abs(found - min(kept, channels)) <= multiple


@pytest.mark.parametrize("ratio", [1.0, -0.1])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ConfigError, match="ratio: Input should be"):
        validate({"ratio": ratio}, SlimSettings, "here")


def test_a_ratio_above_the_largest_of_a_layer_is_refused():
    with pytest.raises(ValidationError, match=r"ratio 0.95 is above max_ratio 0.9"):
        SlimSettings(ratio=0.95)
