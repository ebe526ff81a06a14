"""The page of a bundle stands alone, and says everything that the manifest knows."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from edge_helpers import edit_manifest, write_bundle
from hypothesis import given
from hypothesis import strategies as st

from vedette_converters.charts import spread
from vedette_converters.figures import COLUMNS, evidence, rows
from vedette_converters.replay import Replay, replay
from vedette_converters.report import report_page, write_report
from vedette_edge.bundle import open_bundle
from vedette_edge.manifest import AnomalySpec
from vedette_edge.types import Outputs

SECTIONS = (
    "Variants",
    "Refused",
    "Latency against accuracy",
    "Size",
    "Difference to the trained network",
    "Heatmaps, dense against int8",
    "State of streams",
    "Layers kept in float",
    "Provenance",
)
MEASURED = {"machine": "twin", "threads": 2, "p95_ms": 9.0, "peak_rss_bytes": 1}
ACCURACY = {"value": 0.9, "low": 0.8, "high": 0.95, "samples": 40, "split": "test"}
STATE = [{"name": "layer_before", "shape": [1, 8, 4, 4], "dtype": "float32"}]


def varied(model):
    """Return three variants of one model: as it is, as int8, and one for a runtime that cannot load it."""
    effect = {"score_mean_abs": 0.01, "score_max_abs": 0.05, "heatmap_correlation": 0.98, "tolerance": None}
    proof = model["proof"] | {"accuracy": ACCURACY}
    inexact = {"parity": model["proof"]["parity"] | effect, "accuracy": ACCURACY, "drop": 0.0125}
    fp32 = model | {"name": "onnx-fp32-clip", "measured": MEASURED | {"p50_ms": 8.0}, "proof": proof}
    int8 = model | {
        "name": "onnx-int8-clip",
        "precision": "int8",
        "measured": MEASURED | {"p50_ms": 4.0},
        "kept_float": ["features.0.<conv>"],
        "proof": inexact,
    }
    stream = model | {
        "name": "openvino-fp32-stream",
        "runtime": "openvino",
        "mode": "stream",
        "state": STATE,
        "proof": proof,
    }
    return [fp32, int8, stream]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    directory = write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    reason = "labels agree on 0.500, at least 0.95"
    refused = {"runtime": "tflite", "precision": "int8", "mode": "clip", "reason": reason}
    edit_manifest(
        directory, lambda values: values.update(variants=varied(values["variants"][0]), refused=[refused])
    )
    return open_bundle(directory)


@pytest.fixture(scope="module")
def replayed(bundle):
    return replay(bundle)


@pytest.fixture(scope="module")
def page(bundle, replayed):
    return report_page(bundle.manifest, replayed)


class Pictures(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.alts, self.sources = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "img":
            self.alts.append(found.get("alt"))
        self.sources += [found[name] for name in ("src", "srcset", "href") if name in found]


def test_every_section_is_there_in_order(page):
    assert tuple(re.findall(r"<h2>(.*?)</h2>", page)) == SECTIONS


def test_it_needs_no_network_and_no_script(page):
    assert "http" not in page
    assert "<script" not in page
    sources = Pictures(page).sources
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for source in sources)


def test_every_picture_says_in_words_what_it_shows(page):
    alts = Pictures(page).alts
    assert all(alts)
    # Three charts; a frame, the trained network and int8 for each of two golden samples.
    assert len(alts) == 3 + 2 * 3
    assert any("onnx-int8-clip 4.00 ms, 0.900" in alt for alt in alts)
    assert sum(alt.startswith("Heatmap of onnx-int8-clip") for alt in alts) == 2


def test_it_tells_of_refusals_state_and_layers_in_float(page):
    assert "labels agree on 0.500, at least 0.95" in page
    assert "openvino-fp32-stream: 0.00 MB a camera in 1 tensors" in page
    assert "layer_before" in page
    assert "features.0.&lt;conv&gt;" in page, "text is no markup"


def test_it_follows_the_light_or_dark_of_the_reader(page):
    assert "prefers-color-scheme: dark" in page
    assert page.count('<source media="(prefers-color-scheme: dark)"') == 3


def test_a_variant_that_does_not_run_here_is_told_of_and_left_out(replayed, page):
    assert set(replayed.outputs) == {"onnx-fp32-clip", "onnx-int8-clip"}
    assert "Not run on this machine: openvino-fp32-stream." in page


def test_what_the_golden_samples_say_is_measured_anew(bundle, replayed):
    np.testing.assert_allclose(
        replayed.outputs["onnx-fp32-clip"].heatmap, replayed.reference.heatmap, atol=1e-5
    )
    stream = bundle.variant("openvino-fp32-stream")
    assert replayed.expected(stream).heatmap.shape[2] == 1
    np.testing.assert_array_equal(replayed.expected(stream).heatmap, replayed.reference.heatmap[:, :, -1:])


def test_a_stream_is_drawn_beside_the_last_frame(bundle, replayed):
    last = Outputs(replayed.reference.logits, replayed.reference.heatmap[:, :, -1:])
    full = Replay(replayed.frames, replayed.reference, {"openvino-fp32-stream": last}, {})
    alts = Pictures(report_page(bundle.manifest, full)).alts
    assert sum(alt.startswith("Heatmap of openvino-fp32-stream") for alt in alts) == 2
    assert all("r 1.000" in alt for alt in alts if alt.startswith("Heatmap of openvino"))


def test_a_bundle_of_which_little_is_known_has_a_page_too(tmp_path):
    bundle = open_bundle(write_bundle(tmp_path / "plain"))
    write_report(tmp_path / "page.html", bundle.manifest, replay(bundle))
    text = (tmp_path / "page.html").read_text()
    assert tuple(re.findall(r"<h2>(.*?)</h2>", text)) == SECTIONS
    assert "No variant has both, a measured latency and an accuracy." in text
    assert "There is no stream variant." in text
    assert "Nothing that was asked for was refused." in text


def test_a_row_holds_costs_speed_up_difference_and_drop(bundle):
    dense, int8, stream = (dict(zip(COLUMNS, row.texts(), strict=True)) for row in rows(bundle.manifest))
    assert (dense["variant"], dense["speed-up"], dense["drop"]) == ("onnx-fp32-clip", "1.0x", "")
    assert dense["difference"] == "logits 0e+00\nheatmap 0e+00"
    assert (int8["speed-up"], int8["drop"]) == ("2.0x", "+0.013")
    assert int8["ms, p50 and p95"] == "4.00\n9.00"
    assert int8["difference"] == "score 1.0e-02\nheatmap r 0.9800"
    assert int8["accuracy"] == "0.900\n0.800 to 0.950"
    assert (stream["ms, p50 and p95"], stream["speed-up"]) == ("", "")


def test_the_map_of_an_anomaly_is_drawn_on_the_scale_of_good_maps_and_others_on_their_own():
    spec = AnomalySpec(threshold=1.0, scale=1.0, map_low=1.0, map_high=3.0)
    good, bad = np.array([[[[0.0, 1.0, 2.5]]]], np.float32), np.array([[[[1.0, 4.0, 90.0]]]], np.float32)
    np.testing.assert_allclose(evidence(good, 0, spec), [[0.0, 0.0, 0.25]])
    np.testing.assert_allclose(evidence(bad, 0, spec), [[0.0, 0.5, 1.0]])
    np.testing.assert_allclose(evidence(good, 0, None), [[0.0, 0.4, 1.0]])


def test_a_benchmark_takes_the_place_of_what_the_builder_measured(bundle):
    found = {"onnx-int8-clip": bundle.variant("onnx-int8-clip").measured.model_copy(update={"p50_ms": 1.0})}
    dense, int8, _ = rows(bundle.manifest, found)
    assert dense.measured is None
    assert int8.measured.p50_ms == 1.0
    assert int8.speedup is None, "the fp32 variant was not measured there"


@given(st.lists(st.floats(0, 1), max_size=12).map(sorted), st.floats(0, 0.2))
def test_names_are_moved_apart_and_stay_in_order_around_their_points(places, gap):
    found = spread(np.array(places), gap)
    assert len(found) == len(places)
    assert (np.diff(found) >= gap - 1e-9).all()
    if places:
        assert found.mean() == pytest.approx(np.mean(places))
    if (np.diff(places) >= gap).all():
        np.testing.assert_allclose(found, places, atol=1e-12)
