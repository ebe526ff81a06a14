"""What the page does, without a browser; its layout where Gradio is installed."""

import numpy as np
import pytest
from anomaly_helpers import tiny_anomaly

from vedette_edge.errors import ConfigError, UsageError
from vedette_train.anomaly.ui import Studio, build_page


@pytest.fixture
def studio(tmp_path):
    return Studio(tiny_anomaly(), tmp_path / "runs")


def test_uploaded_good_pictures_are_trained_on_and_others_judged(studio, surfaces):
    good = [str(path) for path in sorted((surfaces / "train" / "good").iterdir())]
    assert studio.names() == []
    assert "trained mine on 12 pictures; threshold" in studio.train(good, "mine", 1)
    assert studio.names() == ["mine"]
    verdict, heatmap, overlay = studio.detect(str(surfaces / "test" / "bad" / "dent" / "000.png"))
    assert "score" in verdict
    assert heatmap.shape == overlay.shape == (64, 64, 3)
    assert heatmap.dtype == np.uint8
    assert studio.load("mine") == "loaded mine"
    with pytest.raises(UsageError, match="is not empty"):
        studio.train(good, "mine", 1)


def test_what_is_missing_is_told(studio):
    with pytest.raises(UsageError, match="load a run first"):
        studio.detect("picture.png")
    with pytest.raises(UsageError, match="upload good pictures first"):
        studio.train([], "mine", 1)
    with pytest.raises(UsageError, match="there is none"):
        studio.load("../elsewhere")
    with pytest.raises(ConfigError, match="name"):
        studio.train(["a.png"], "../elsewhere", 1)


@pytest.mark.filterwarnings("ignore")  # what Gradio itself warns of
def test_the_page_has_three_tabs(studio):
    gradio = pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'vedette[ui]'")
    page = build_page(studio)
    tabs = [block.label for block in page.blocks.values() if isinstance(block, gradio.Tab)]
    assert tabs == ["Train", "Load model", "Detect"]
