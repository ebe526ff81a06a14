"""Where a camera's frames come from, one class a kind."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Section

__all__ = ["BackPressure", "FileSourceConfig", "SourceConfig"]

BackPressure: TypeAlias = Literal["drop-oldest", "latest", "wait"]
"""What happens to frames that the model has no time for: the oldest of four go, all but the newest go, or the
source waits."""


class FileSourceConfig(Section):
    """A video file in the place of a camera."""

    type: Literal["file"]
    path: LocalPath = Field(description="The video.")
    pace: Literal["realtime", "fast"] = Field(
        default="realtime",
        description="realtime: as a camera would, frames are dropped when the model is behind. "
        "fast: as fast as the model goes, every frame is kept.",
    )

    @property
    def back_pressure(self) -> BackPressure:
        """What to do where the camera's configuration does not say."""
        return "wait" if self.pace == "fast" else "drop-oldest"

    @property
    def live(self) -> bool:
        """Whether the source has no end of its own: then it is opened again when it ends or fails."""
        return False


# With a second kind this becomes Annotated[FileSourceConfig | ..., Field(discriminator="type")].
SourceConfig: TypeAlias = Annotated[FileSourceConfig, Field()]
