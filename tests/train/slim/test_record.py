"""The record: read back as written, refused when damaged or of another network."""

import json

import pytest
import torch
from slim_helpers import clips, family

from vedette_edge.errors import DataError
from vedette_train.slim.cut import cut, slimming_of
from vedette_train.slim.record import KeptChannels, KeptLayer, Slimming, composed, read_slimming
from vedette_train.slim.remove import slim
from vedette_train.slim.settings import SlimSettings


def kept(of, *channels):
    return {"of": of, "kept": list(channels)}


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    assert read_slimming(tmp_path) is None
    record = Slimming(layers={"a": KeptLayer(outputs=KeptChannels(of=4, kept=(0, 3)))})
    record.write(tmp_path)
    assert read_slimming(tmp_path) == record


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "Invalid JSON"),
        ({"layers": {"a": {"outputs": kept(4, 3, 1)}}}, "expected ascending channels of 0..3, each once"),
        ({"layers": {"a": {"outputs": kept(4, 1, 1)}}}, "expected ascending"),
        ({"layers": {"a": {"outputs": kept(4, 4)}}}, "expected ascending"),
        ({"layers": {"a": {"inputs": kept(4)}}}, "at least 1 item"),
        ({"layers": {"a": {"output": kept(4, 1)}}}, "layers.a.output: unknown key, did you mean 'outputs'"),
        ({"layers": {}, "schema_version": 2}, "schema_version"),
        ({"layers": {"a": {"outputs": kept(4, "0")}}}, "should be a valid integer"),
    ],
)
def test_a_damaged_record_is_refused(content, sentence, tmp_path):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "slimming.json").write_text(text)
    with pytest.raises(DataError, match=r"slimming\.json: .*" + sentence):
        read_slimming(tmp_path)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"features.99": {"outputs": kept(4, 0)}}, "layer 'features.99' is missing"),
        ({"features.0": {"outputs": kept(16, 0)}}, "layer 'features.0' has 32 outputs, the record counts 16"),
        ({"head": {"inputs": kept(64, 0)}}, "layer 'head' has 128 inputs, the record counts 64"),
        ({"features.2": {"outputs": kept(4, 0)}}, "cannot lose these channels, it is a ReLU"),
        ({"features.1": {"inputs": kept(32, 0)}}, "cannot lose these channels, it is a BatchNorm3d"),
    ],
)
def test_a_record_of_another_network_is_refused_and_nothing_is_cut(layers, sentence):
    network, _ = family("simple_3d")
    good = {"features.8": {"outputs": kept(128, 0, 1)}}
    with pytest.raises(DataError, match=sentence):
        cut(network, Slimming.model_validate_json(json.dumps({"layers": good | layers})))
    assert network.features[8].out_channels == 128
    assert slimming_of(network) is None


def test_what_is_cut_twice_counts_the_channels_of_the_dense_network():
    network, spec = family("fgattnet")
    dense = family("fgattnet")[0]
    first = slim(network, spec, SlimSettings(ratio=0.3))
    then = slim(network, spec, SlimSettings(ratio=0.3, importance="l1"))
    whole = slimming_of(network)
    assert whole == composed(first, then)
    cut(dense, whole)
    x = clips(spec)
    with torch.no_grad():
        torch.testing.assert_close(dense(x), network(x))


def test_what_was_frozen_stays_frozen():
    network, spec = family("simple_3d")
    network.features.requires_grad_(False)
    slim(network, spec, SlimSettings())
    assert not any(parameter.requires_grad for parameter in network.features.parameters())
    assert network.head.weight.requires_grad
