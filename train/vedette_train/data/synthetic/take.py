"""One take: a scene, a person, a motion and a camera, put together frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vedette_train.data.synthetic.backdrop import Image
from vedette_train.data.synthetic.camera import Camera, random_camera
from vedette_train.data.synthetic.exercises import Motion
from vedette_train.data.synthetic.person import Person, random_person
from vedette_train.data.synthetic.render import View, draw_figure, draw_shadow, figure_parts, outline_box
from vedette_train.data.synthetic.scene import Scene, random_scene, random_view
from vedette_train.data.synthetic.skeleton import joints

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Take:
    """Everything that decides the frames of a video.

    Attributes:
        scene: The place.
        person: Who is there.
        view: Where the person stands.
        motion: What the person does.
        camera: What records it.
        fps: Frames per second.
        frames: Length.
    """

    scene: Scene
    person: Person
    view: View
    motion: Motion
    camera: Camera
    fps: float
    frames: int

    def shot(self, index: int) -> tuple[Image, Box]:
        """One frame and where the figure is in it.

        Args:
            index: Number of the frame, from 0.

        Returns:
            (H, W, 3) uint8 BGR, and x, y, width, height of the figure as shares of the frame; its shadow is
            not part of it.
        """
        t = index / self.fps
        skeleton = joints(self.person.body, self.motion(t))
        parts = figure_parts(self.person, skeleton, self.view)
        picture = self.scene.picture(t)
        draw_shadow(picture, skeleton, self.view)
        draw_figure(picture, parts, self.view)
        return self.camera.frame(picture, index), self.camera.box(outline_box(parts), index)

    def empty(self, index: int) -> Image:
        """The same frame without the figure, (H, W, 3) uint8 BGR."""
        return self.camera.frame(self.scene.picture(index / self.fps), index)

    def shots(self) -> Iterator[tuple[Image, Box]]:
        """All frames in order, see `shot`."""
        return (self.shot(index) for index in range(self.frames))


@dataclass(frozen=True)
class Cast:
    """A scene and the person seen in it: what the clips of one group have in common."""

    scene: Scene
    person: Person

    def take(
        self, rng: np.random.Generator, motion: Motion, *, size: tuple[int, int], fps: float, frames: int
    ) -> Take:
        """Record a motion.

        Args:
            rng: The only source of chance: where the person stands, how the camera behaves.
            motion: What the person does.
            size: Width and height of the frame, pixels; the size of the scene.
            fps: Frames per second.
            frames: Length.

        Returns:
            The take.
        """
        view = random_view(rng, self.scene, size)
        camera = random_camera(rng, size, self.scene.margin, frames, fps)
        return Take(self.scene, self.person, view, motion, camera, fps, frames)


def random_cast(rng: np.random.Generator, size: tuple[int, int]) -> Cast:
    """Draw a scene and a person whose clothes can be told from it.

    Args:
        rng: The only source of chance.
        size: Width and height of the frame, pixels.

    Returns:
        The cast.
    """
    scene = random_scene(rng, size)
    return Cast(scene, random_person(rng, scene.behind()))
