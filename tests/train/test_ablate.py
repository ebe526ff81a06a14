"""Does the flow branch earn its cost: the halves of a recipe, what they cost, and what is said of it."""

import csv
import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.ablate import WHOLE, Outcome, ablate, variants, verdict
from vedette_train.compare import Comparison, Difference, McNemar
from vedette_train.costs import Cost, count_gmacs, measure_costs
from vedette_train.metrics import Interval
from vedette_train.runs import build_network

FLOW = {"data__input__streams": "rgb+flow", "data__input__flow": {}}


def dual(**changes):
    return tiny_recipe(**FLOW, **changes)


def made_for_both(**changes):
    return dual(
        model={"name": "ds3d_baseline", "hidden": 8},
        data__input__frames=8,
        data__input__height=32,
        data__input__width=32,
        **changes,
    )


def test_a_network_of_any_channels_is_built_anew_for_what_is_left():
    found = variants(dual())
    assert [one.data.input.streams for one in found.values()] == ["rgb+flow", "rgb", "flow"]
    assert [one.data.blind for one in found.values()] == [None, None, None]
    assert [one.data.input.flow is None for one in found.values()] == [False, True, False]
    assert [one.name for one in found.values()] == ["tiny", "tiny-rgb", "tiny-flow"]


def test_a_network_that_is_made_for_both_sees_a_blank():
    found = variants(made_for_both())
    assert [one.data.input.streams for one in found.values()] == ["rgb+flow"] * 3
    assert [one.data.blind for one in found.values()] == [None, "flow", "rgb"]
    clips = torch.randn(2, 5, 8, 32, 32)
    for blind, unseen, seen in (("flow", slice(3, 5), slice(0, 3)), ("rgb", slice(0, 3), slice(3, 5))):
        torch.manual_seed(0)
        network = build_network(made_for_both(data__blind=blind), 2).eval()
        before = clips.clone()
        wanted = network(clips)
        assert torch.equal(clips, before)
        other = clips.clone()
        other[:, unseen] = 7.0
        assert torch.equal(network(other), wanted)
        assert torch.equal(network.forward_with_heatmap(other)[0], network.forward_with_heatmap(clips)[0])
        other[:, seen] = 0.5
        # Also where the streams are multiplied, what is left must get through.
        assert not torch.equal(network(other), wanted)
    assert network.state_dict().keys() == build_network(made_for_both(), 2).state_dict().keys()


@pytest.mark.parametrize("recipe", [tiny_recipe(), made_for_both(data__blind="rgb")], ids=["rgb", "blind"])
def test_what_does_not_see_both_streams_has_no_halves(recipe):
    with pytest.raises(ConfigError, match=r"an ablation needs data\.input\.streams: rgb\+flow"):
        variants(recipe)


def test_only_what_has_both_streams_can_be_blind_to_one():
    with pytest.raises(ConfigError, match=r"data\.blind needs data\.input\.streams: rgb\+flow, found rgb"):
        tiny_recipe(data__blind="rgb")


def test_costs_count_the_flow_where_it_is_needed(data):
    video = data / "left" / "left_0.mp4"
    recipes = variants(dual()) | {"blind": made_for_both(data__blind="flow"), "ds3d": made_for_both()}
    found = measure_costs(recipes, 2, video)
    assert [one.flow_ms > 0 for one in found.values()] == [True, False, True, False, True]
    assert found["rgb"].total_ms == found["rgb"].network_ms > 0
    whole, rgb = found[WHOLE], found["rgb"]
    assert whole.parameters - rgb.parameters == 2 * 8 * 27  # two channels more into the first layer
    assert whole.gmacs > rgb.gmacs > found["flow"].gmacs > 0
    assert found["blind"].parameters == found["ds3d"].parameters


def test_multiplications_are_those_of_the_layers():
    # 285,234 parameters and 23.7 GMAC for 32 frames of 224 x 224, as published.
    recipe = dual(
        model={"name": "ds3d_baseline"}, data__input__frames=8, data__input__height=56, data__input__width=56
    )
    network = build_network(recipe, 2).eval()
    gmacs = count_gmacs(partial(network, torch.zeros(1, 5, 8, 56, 56)))
    assert gmacs * 4 * 16 == pytest.approx(23.7, abs=0.3)


def outcome(better, p=0.5):
    value = {0: 0.01, 1: -0.2, 2: 0.2}[better]
    spread = 0.05
    difference = Difference(0.7, 0.7 + value, value, value - spread, value + spread)
    compared = Comparison(
        McNemar(10, 10, 100, 0.001 if better else p), {"accuracy": difference}, None, 20, 0, 0
    )
    assert compared.better == better
    return Outcome(
        "network of its own", Interval(0.7, 0.6, 0.8, 100), None, Cost(1, 1.0, 10.0, 0.0), compared
    )


@pytest.mark.parametrize(
    ("better", "beginning"),
    [
        (0, "There is no evidence that the flow branch earns its cost beside the picture: it takes 17.0 ms"),
        (1, "The flow branch makes the network worse, and it takes 17.0 ms"),
        (2, "The flow branch makes the network better, and it takes 17.0 ms"),
    ],
)
def test_the_verdict_weighs_the_gain_against_the_time(better, beginning):
    rgb = outcome(better)
    whole = replace(rgb, cost=Cost(2, 2.0, 12.0, 5.0), against_whole=None)
    found = verdict({WHOLE: whole, "rgb": rgb, "flow": outcome(0)})
    assert found.startswith(beginning)
    assert "(5.0 of them for the flow itself) instead of 10.0 ms" in found
    assert "No evidence that flow and rgb+flow differ in accuracy" in found
    assert "should go" not in found


def test_flow_alone_may_be_better_than_both():
    whole = replace(outcome(0), against_whole=None)
    found = verdict({WHOLE: whole, "rgb": outcome(0), "flow": outcome(1)})
    assert "flow is right more often than rgb+flow" in found
    assert found.endswith("So it is the picture that should go, not the flow.")


@pytest.mark.slow
def test_an_ablation_ends_in_a_table_a_picture_and_a_verdict_and_goes_on_where_it_was(data, cache, tmp_path):
    recipe = dual(train__epochs=1, data__folds=2)
    found = ablate(recipe, data, tmp_path / "out", cache=cache)
    content = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert content["verdict"].startswith(verdict(found).split(":")[0])
    assert set(content["variants"]) == {"rgb+flow", "rgb", "flow"}
    with (tmp_path / "out" / "ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["streams"] for row in rows] == ["rgb+flow", "rgb", "flow"]
    assert [bool(row["p_against_whole"]) for row in rows] == [False, True, True]
    assert (tmp_path / "out" / "ablation.png").is_file()
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.pt")}
    assert len(trained) == 6
    ablate(recipe, data, tmp_path / "out", cache=cache)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.pt")} == trained
