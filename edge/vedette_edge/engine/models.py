"""Loads each model of the configuration, and makes judges of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from vedette_edge.benchmark import kept, stores
from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.choice import open_best
from vedette_edge.config import AgentConfig, ModelConfig, check_cameras
from vedette_edge.engine.shared import SharedSession
from vedette_edge.judges import ClipJudge, Judge
from vedette_edge.manifest import Decision, Manifest, Variant
from vedette_edge.probabilities import Scale

__all__ = ["Model", "load_models"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle of which one variant is loaded and has proved itself."""

    name: str
    bundle: Bundle
    variant: Variant
    session: SharedSession

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    def judge(self, decision: Decision) -> Judge:
        """Begin to judge one camera."""
        scale = Scale.of(self.manifest, decision.temperature)
        return ClipJudge(self.manifest.input, decision.hop, scale, self.session)


def load_models(config: AgentConfig) -> Mapping[str, Model]:
    """Load all models of a configuration, by name.

    Raises:
        VedetteError: when one cannot be loaded or does not prove itself, or does not fit the cameras.
    """
    bundles = {name: open_bundle(model.bundle) for name, model in config.every_model.items()}
    check_cameras(config, {name: bundle.manifest for name, bundle in bundles.items()})
    return {name: _load(name, model, bundles[name], config) for name, model in config.every_model.items()}


def _load(name: str, model: ModelConfig, bundle: Bundle, config: AgentConfig) -> Model:
    benchmark = kept(stores(config.state_dir), bundle, model.threads)
    measured = benchmark.measured if benchmark else {}
    proved = open_best(bundle, model.variant, measured, threads=model.threads)
    _log.info(
        "model '%s', variant '%s': golden samples reproduced, largest difference %.1e",
        bundle.manifest.name,
        proved.variant.name,
        max(proved.difference.logits_max, proved.difference.heatmap_max),
    )
    return Model(name, bundle, proved.variant, SharedSession(proved.session))
