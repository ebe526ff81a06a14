"""What happens when: the truth that belongs to a synthetic video.

A timeline is a JSON file beside its video. It lists the exercises with their times (idling is what is not
listed) and, for every frame, the box around the figure, so that a test can ask both «when» and «where».
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vedette_edge.errors import DataError

Share = Annotated[float, Field(ge=0, le=1)]


class Action(BaseModel):
    """One exercise.

    Attributes:
        label: What is done, one of `LABELS` but `idle`.
        start: Seconds from the beginning of the video.
        end: Seconds from the beginning of the video, after `start`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    start: float = Field(ge=0)
    end: float = Field(gt=0)


class Timeline(BaseModel):
    """The truth about one video.

    Attributes:
        video: Name of the video file, in the same folder as the timeline.
        fps: Frames per second.
        width: Pixels.
        height: Pixels.
        frames: Number of frames.
        actions: In order of time, without overlap.
        figure: For every frame x, y, width and height of the figure as shares of the frame, y down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: str
    fps: float = Field(gt=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int = Field(gt=0)
    actions: tuple[Action, ...]
    figure: tuple[tuple[Share, Share, Share, Share], ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> "Timeline":
        if len(self.figure) != self.frames:
            raise ValueError(f"there are {self.frames} frames but {len(self.figure)} boxes in 'figure'")
        now, length = 0.0, self.frames / self.fps
        for action in self.actions:
            # One frame of grace: the length of a video is a whole number of frames, times are not.
            if not now <= action.start < action.end <= length + 1 / self.fps:
                span = f"{action.label} from {action.start} to {action.end} s"
                raise ValueError(
                    f"'{span}' overlaps the action before it or leaves the video of {length:.2f} s"
                )
            now = action.end
        return self


def timeline_path(video: Path) -> Path:
    """Where the timeline of a video lies."""
    return video.with_suffix(".timeline.json")


def read_timeline(path: Path) -> Timeline:
    """Read a timeline.

    Args:
        path: The JSON file.

    Returns:
        The timeline.

    Raises:
        DataError: The file cannot be read or is no timeline; the message names the first wrong field.
    """
    try:
        return Timeline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read the timeline '{path}': {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"'{path}' is not a timeline: {where}: {first['msg']}") from error
