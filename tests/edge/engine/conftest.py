from __future__ import annotations

import pytest
from edge_helpers import add_variant, brightness_model
from judge_helpers import add_stream, write_model_config

from vedette_edge.config import load_config
from vedette_edge.engine import load_models


@pytest.fixture
def three(bundle_dir):
    """A bundle with the clip variants onnx-fp32 and twin, and the stream live; all say the same."""
    add_variant(bundle_dir, "twin", brightness_model())
    add_stream(bundle_dir)
    return bundle_dir


@pytest.fixture
def engine_of(tmp_path, monkeypatch):
    """Loads the engine of a bundle as model `main`; what is still open at the end is closed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    opened = []

    def load(bundle, cameras=("door",), on_change=lambda *_: None, **model):
        config = write_model_config(tmp_path / "c.yaml", bundle, cameras, **model)
        opened.append(load_models(load_config(config), on_change))
        return opened[-1]

    yield load
    for engine in opened:
        engine.close()
