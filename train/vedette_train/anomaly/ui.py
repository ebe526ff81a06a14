"""A page on this machine: train a detector on uploaded good pictures, load one, judge pictures.

What the page does lies in `Studio`, which knows nothing of Gradio; `build_page` lays it out. The page is
served to this machine only, and never shared.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vedette_edge.errors import DataError, MissingExtraError, UsageError, VedetteError
from vedette_edge.types import Image
from vedette_train.anomaly.detectors import Detector
from vedette_train.anomaly.evaluate import heat_pictures, judge_image, relative_score
from vedette_train.anomaly.images import read_image
from vedette_train.anomaly.recipe import AnomalyRecipe, anomaly_recipe_from_dict
from vedette_train.anomaly.run import AnomalyRun, Calibration, is_anomaly_run, open_anomaly_run
from vedette_train.anomaly.training import fit_anomaly
from vedette_train.runs import MODEL_FILE

__all__ = ["Studio", "build_page", "serve"]

_NO_RUN = "load a run first, or train one"


@dataclass(frozen=True, slots=True)
class _Loaded:
    run: AnomalyRun
    detector: Detector
    calibration: Calibration


class Studio:
    """Trains, loads and judges; one at a time, whoever asks."""

    def __init__(self, recipe: AnomalyRecipe, runs: Path) -> None:
        """Begin without a detector.

        Args:
            recipe: what uploaded pictures are trained with.
            runs: folder where runs are kept and found.
        """
        self._recipe, self._runs = recipe, runs
        self._loaded: _Loaded | None = None
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the finished runs in the folder."""
        if not self._runs.is_dir():
            return []
        folders = sorted(path for path in self._runs.iterdir() if (path / MODEL_FILE).is_file())
        return [path.name for path in folders if is_anomaly_run(path)]

    def train(self, files: Sequence[str], name: str, epochs: int) -> str:
        """Train a run on good pictures and load it.

        Args:
            files: the uploaded pictures.
            name: of the new run.
            epochs: of the training.

        Returns:
            What was done, one sentence.

        Raises:
            UsageError: when no picture was uploaded.
            ConfigError: when the name or the epochs are not allowed.
            DataError: when the pictures cannot be used.
        """
        if not files:
            raise UsageError("upload good pictures first")
        values = self._recipe.model_dump(mode="json")
        values["name"] = name
        values["train"]["epochs"] = epochs
        values["data"]["test"] = False
        recipe = anomaly_recipe_from_dict(values, "the form")
        with self._lock, tempfile.TemporaryDirectory() as folder:
            good = Path(folder) / "train" / "good"
            good.mkdir(parents=True)
            for index, file in enumerate(files):
                shutil.copyfile(file, good / f"{index:05d}{Path(file).suffix}")
            run = fit_anomaly(recipe, Path(folder), self._runs / name)
            loaded = self._use(run)
        count = len(run.info.train) + len(run.info.held_out)
        return f"trained {name} on {count} pictures; threshold {loaded.calibration.threshold:.4g}"

    def load(self, name: str | None) -> str:
        """Load a run by its name in the folder, and say which.

        Raises:
            UsageError: when no run is named, or it is not one of the folder's.
            DataError: when the run cannot be read.
        """
        if not name or name not in self.names():
            raise UsageError(
                f"choose one of the runs in {self._runs}: {', '.join(self.names()) or 'there is none'}"
            )
        with self._lock:
            self._use(open_anomaly_run(self._runs / name))
        return f"loaded {name}"

    def detect(self, file: str | None) -> tuple[str, Image, Image]:
        """Judge a picture.

        Args:
            file: the uploaded picture.

        Returns:
            The verdict, then the heatmap and the overlay, (H, W, 3) uint8 RGB.

        Raises:
            UsageError: when no detector is loaded or no picture was uploaded.
            DataError: when the picture cannot be read.
        """
        if self._loaded is None:
            raise UsageError(_NO_RUN)
        if not file:
            raise UsageError("upload a picture first")
        with self._lock:
            loaded = self._loaded
            image = read_image(Path(file), loaded.run.recipe.data.input.white)
            judged = judge_image(loaded.detector, image, loaded.run.recipe)
        alone, over = heat_pictures(image, judged, loaded.calibration, loaded.run.recipe.pictures)
        relative = relative_score(judged.score, loaded.calibration)
        verdict = "bad" if judged.score >= loaded.calibration.threshold else "good"
        return (
            f"{verdict}: score {relative:.2f}, where 1 is the threshold",
            alone[:, :, ::-1],
            over[:, :, ::-1],
        )

    def _use(self, run: AnomalyRun) -> _Loaded:
        detector, calibration = run.detector()
        self._loaded = _Loaded(run, detector, calibration)
        return self._loaded


def build_page(studio: Studio) -> Any:
    """Lay the page out, as a `gradio.Blocks`.

    Raises:
        MissingExtraError: when Gradio is not installed.
    """
    gr = _gradio()

    def told(call: Any) -> Any:
        """Return a handler that shows a user's mistake as a message instead of a traceback."""

        def handler(*arguments: Any) -> Any:
            try:
                return call(*arguments)
            except VedetteError as error:
                raise gr.Error(str(error)) from error

        return handler

    with gr.Blocks(title="Vedette: anomaly detection", analytics_enabled=False) as page:
        gr.Markdown("# Vedette: anomaly detection")
        with gr.Tab("Train"):
            files = gr.File(
                label="Good pictures", file_count="multiple", file_types=["image"], elem_id="good"
            )
            name = gr.Textbox("uploaded", label="Name of the run", elem_id="name")
            epochs = gr.Slider(1, 200, 20, step=1, label="Epochs")
            trained = gr.Textbox(label="Result", elem_id="trained")
            gr.Button("Train", elem_id="train").click(told(studio.train), [files, name, epochs], trained)
        with gr.Tab("Load model"):
            choice = gr.Dropdown(studio.names(), label="Run", elem_id="run")
            loaded = gr.Textbox(label="Result", elem_id="loaded")
            with gr.Row():
                refresh = gr.Button("Look again", elem_id="refresh")
                gr.Button("Load", elem_id="load").click(told(studio.load), choice, loaded)
            refresh.click(lambda: gr.Dropdown(studio.names()), None, choice)
        with gr.Tab("Detect"):
            picture = gr.Image(label="Picture", type="filepath", elem_id="picture")
            verdict = gr.Textbox(label="Verdict", elem_id="verdict")
            shown = ["download", "fullscreen"]  # not "share", which uploads
            with gr.Row():
                heatmap = gr.Image(label="Heatmap", elem_id="heatmap", buttons=shown)
                overlay = gr.Image(label="Overlay", elem_id="overlay", buttons=shown)
            gr.Button("Detect", elem_id="detect").click(
                told(studio.detect), picture, [verdict, heatmap, overlay]
            )
    return page


def serve(recipe: AnomalyRecipe, runs: Path, port: int) -> None:
    """Show the page on this machine until it is interrupted.

    Raises:
        MissingExtraError: when Gradio is not installed.
        DataError: when the port is taken.
    """
    page = build_page(Studio(recipe, runs))
    try:
        page.launch(server_name="127.0.0.1", server_port=port, share=False, inbrowser=False)
    except OSError as error:
        raise DataError(f"port {port} cannot be used ({error}); choose another with --port") from error


def _gradio() -> Any:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "gradio", "ui") from error
    return gradio
