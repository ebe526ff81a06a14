"""Which bundle a model of the configuration is: a directory, or the slot of a model store that runs now.

`effective` of `fleet` says which cameras run; here is said which bundles do: the configuration as it is
written names a model's directory in the store, the configuration that shall run names one of its slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vedette_edge.config import MAIN, AgentConfig
from vedette_edge.errors import ConfigError, UpdateError
from vedette_edge.manifest import MANIFEST_NAME
from vedette_edge.ota.evidence import read_evidence, slot_to_run
from vedette_edge.ota.layout import ModelPlace, evidence_path
from vedette_edge.ota.record import RECORD_NAME, read_record

__all__ = ["nothing_to_run", "resolved", "stores", "with_bundles"]


def stores(config: AgentConfig) -> dict[str, ModelPlace]:
    """Return the models of a configuration that are updated: their places in the store, by name."""
    return {
        name: ModelPlace(model.bundle)
        for name, model in config.every_model.items()
        if _is_store(model.bundle, config)
    }


def with_bundles(config: AgentConfig, bundles: Mapping[str, Path]) -> AgentConfig:
    """Return a configuration in which some models have another bundle.

    Args:
        config: as it is written.
        bundles: directories by the model's name.
    """
    if not bundles:
        return config
    if config.bundle is not None:
        return config.model_copy(update={"bundle": bundles.get(MAIN, config.bundle)})
    models = {
        name: model.model_copy(update={"bundle": bundles.get(name, model.bundle)})
        for name, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def resolved(config: AgentConfig) -> AgentConfig:
    """Return a configuration with the slots that an agent would run now; nothing is counted or written.

    Raises:
        ConfigError: when a model store has no model.
        UpdateError: when what is written of an update cannot be read.
    """
    bundles: dict[str, Path] = {}
    for name, place in stores(config).items():
        try:
            record = read_record(place.record)
        except FileNotFoundError:
            raise nothing_to_run(name, place) from None
        try:
            evidence = read_evidence(evidence_path(config.state_dir, place.directory.name))
        except UpdateError:
            # The agent would take the candidate for failed, and so run what is committed.
            record, evidence = record.model_copy(update={"state": "idle"}), None
        slot = slot_to_run(record, evidence)
        if slot is None:
            raise nothing_to_run(name, place)
        bundles[name] = place.slot(slot)
    return with_bundles(config, bundles)


def nothing_to_run(name: str, place: ModelPlace) -> ConfigError:
    """Return the error of a model whose store has none to run."""
    error = ConfigError(
        f"models.{name}: the model store {place.directory} has no model yet; put one there with "
        "`edge-agent ota adopt`, or let `edge-agent ota look` fetch it"
    )
    error.model = name
    return error


def _is_store(bundle: Path, config: AgentConfig) -> bool:
    if (bundle / RECORD_NAME).exists():
        return True
    updated = config.ota is not None and bundle.parent == config.ota.store
    return updated and not (bundle / MANIFEST_NAME).exists()
