"""What is shown, kept on disk, and hidden."""

from __future__ import annotations

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Polygon, Section

__all__ = ["ClipsConfig", "PrivacyConfig", "SnapshotConfig"]


class SnapshotConfig(Section):
    """The pictures that go with events."""

    directory: LocalPath | None = Field(default=None, description="Also keep the pictures here.")
    quality: int = Field(default=85, ge=20, le=100, description="JPEG quality to begin with.")
    max_bytes: int = Field(
        default=122_880, ge=4096, le=1_000_000, description="Bound on a picture; some brokers refuse 128 kB."
    )
    alpha: float = Field(
        default=0.55, ge=0, le=1, description="Opacity of the heatmap where it is strongest."
    )


class ClipsConfig(Section):
    """Videos of events, kept on this device."""

    directory: LocalPath | None = Field(default=None, description="Keep them here; null: none are kept.")
    before: float = Field(default=5.0, ge=0, le=60, description="Seconds before an event.")
    after: float = Field(default=5.0, ge=0, le=60, description="Seconds after it.")
    max_bytes: int = Field(default=1_073_741_824, ge=1_048_576, description="Then the oldest go.")
    keep_days: float = Field(default=14, gt=0)


class PrivacyConfig(Section):
    """What of a camera nobody may see. The model does not see masked places either."""

    masks: tuple[Polygon, ...] = Field(default=(), max_length=32, description="Black, from the capture on.")
