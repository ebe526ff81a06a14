"""Where the updater keeps what it has, and where the agent says what it saw.

    STORE/                       the updater's, /var/lib/edge-models
      floor.json                 versions of the signed metadata, below which nothing is taken
      floor.second.json          the same, for where the first cannot be read
      .metadata/                 the TUF client's cache; may be lost
      MODEL/record.json          where its update stands
      MODEL/record.json.damaged-N  what could not be read, set aside for whoever wants to know why
      MODEL/a/, MODEL/b/         two slots, a bundle each, files read-only
      MODEL/a.json, MODEL/b.json what lies in each slot, and whether it was ever committed
      MODEL/partial/SHA256       a file that is being fetched, resumed where it broke off
    STATE/                       the agent's, /var/lib/edge-agent
      ota/MODEL.json             evidence
      ota/look                   touched when somebody asks over MQTT to look now

No name of a model has a dot, so that none can be mistaken for another name of the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vedette_edge.ota.record import RECORD_NAME, Slot

__all__ = ["ModelPlace", "Store", "evidence_path", "look_path"]


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """The directory of one model."""

    directory: Path

    @property
    def name(self) -> str:
        """The model's."""
        return self.directory.name

    @property
    def record(self) -> Path:
        """Its record."""
        return self.directory / RECORD_NAME

    @property
    def partial(self) -> Path:
        """Files that are being fetched."""
        return self.directory / "partial"

    def slot(self, slot: Slot) -> Path:
        """Return the directory of a slot."""
        return self.directory / slot

    def contents(self, slot: Slot) -> Path:
        """Return the file that says what lies in a slot."""
        return self.directory / f"{slot}.json"


@dataclass(frozen=True, slots=True)
class Store:
    """The updater's directory."""

    root: Path

    @property
    def floor(self) -> Path:
        """Below what nothing is taken."""
        return self.root / "floor.json"

    @property
    def metadata(self) -> Path:
        """The TUF client's cache."""
        return self.root / ".metadata"

    def model(self, name: str) -> ModelPlace:
        """Return the place of a model."""
        return ModelPlace(self.root / name)


def evidence_path(state_dir: Path, model: str) -> Path:
    """Return where the agent says what it saw of a model."""
    return state_dir / "ota" / f"{model}.json"


def look_path(state_dir: Path) -> Path:
    """Return the file that the agent touches when somebody asks to look now."""
    return state_dir / "ota" / "look"
