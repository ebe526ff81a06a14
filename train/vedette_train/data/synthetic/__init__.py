"""Videos drawn by the computer: people-like figures exercise in many kinds of places, the truth is known.

With this a fresh clone trains, exports and runs without a download. Two doors: `write_dataset` for a folder
of labelled clips, `write_timeline_video` for one long video whose `Timeline` says what happens when, and
where in the picture.

Example:
    >>> groups = write_dataset(Path("clips"), clips_per_class=20, workers=2)
    >>> timeline = write_timeline_video(Path("camera.mp4"), seconds=60)
"""

from vedette_train.data.synthetic.exercises import LABELS
from vedette_train.data.synthetic.timeline import Action, Timeline, read_timeline, timeline_path
from vedette_train.data.synthetic.write import write_dataset, write_timeline_video

__all__ = [
    "LABELS",
    "Action",
    "Timeline",
    "read_timeline",
    "timeline_path",
    "write_dataset",
    "write_timeline_video",
]
