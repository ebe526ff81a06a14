"""How many 720p25 cameras this machine carries in real time: the agent, and plain loops over the same files.

A loop reads with OpenCV, samples, resizes, and judges a clip of 16 frames at each hop, as the agent's model
asks for; camera after camera, the best that a plain loop can do. The figure is seconds of video a second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from bundles import causal_network, write_network_bundle
from inference import SPEC

from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.types import FloatArray
from vedette_train.data.synthetic import write_timeline_video

CAMERAS, SECONDS, ROUNDS, HOP = 4, 20.0, 3, 2


def run() -> Iterator[str]:
    """Yield one line a way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = causal_network()
        bundle = write_network_bundle(folder / "bundle", network)
        video = write_camera(folder, SECONDS)
        session = OnnxSession((bundle / "onnx-clip.onnx").read_bytes())
        ways: dict[str, Callable[[], float]] = {
            "the agent, streaming": lambda: _agent(folder, bundle, video, "stream"),
            "the agent, clips": lambda: _agent(folder, bundle, video, "clip"),
            "OpenCV + ONNX Runtime": lambda: _loop(video, lambda clip: session.run(clip)),
            "OpenCV + PyTorch": lambda: _loop(video, lambda clip: _eager(network, clip)),
        }
        carried: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, measure in ways.items():
                carried[way].append(measure())
    best = statistics.median(carried["the agent, streaming"])
    for way, found in carried.items():
        middle = statistics.median(found)
        spread = f"({min(found):.1f} to {max(found):.1f})"
        gain = f"the streaming agent: {best / middle:.2f}x"
        yield f"{way:<24} {middle:5.1f} cameras of 720p25 {spread:<16} {gain}"


def write_camera(folder: Path, seconds: float) -> Path:
    """Write 720p25 as H.264, which is what cameras send; needs ffmpeg."""
    path, scaled = folder / "camera.mp4", folder / "camera-720.mp4"
    write_timeline_video(path, seconds=seconds, seed=1)
    command = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(path), "-vf", "scale=1280:720", "-r", "25"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", str(scaled)], check=True)
    return scaled


def _agent(folder: Path, bundle: Path, video: Path, mode: str) -> float:
    """Return seconds of video that one process carries a second, from its own count of frames."""
    source = {"type": "file", "path": str(video), "pace": "fast"}
    config = {
        "site": "bench",
        "node": "n",
        "models": {"m": {"bundle": str(bundle), "mode": mode}},
        "state_dir": str(folder / f"state-{time.monotonic_ns()}"),
        "cameras": [{"id": f"c{number}", "source": source} for number in range(CAMERAS)],
        "mqtt": {"host": "127.0.0.1", "port": 1},
        "drain_timeout": 0.0,
    }
    path = folder / "agent.yaml"
    path.write_text(json.dumps(config))
    scores = folder / "scores.jsonl"
    command = [sys.executable, "-m", "vedette_edge", "run", "--config", str(path), "--scores", str(scores)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (scores.exists() and scores.stat().st_size):  # it has started, and judges
        time.sleep(0.01)
    started = time.monotonic()
    process.wait()
    return CAMERAS * SECONDS / (time.monotonic() - started)


def _loop(video: Path, judge: Callable[[FloatArray], object]) -> float:
    began = time.monotonic()
    for _ in range(CAMERAS):
        capture, window, every = cv2.VideoCapture(str(video)), [], 25 / SPEC.fps
        sampled, due = 0, 0.0
        number = 0
        while True:
            there, image = capture.read()
            if not there:
                break
            if number >= due:
                due += every
                sampled += 1
                window = [*window[-SPEC.frames + 1 :], fit(image, SPEC)]
                if len(window) == SPEC.frames and sampled % HOP == 0:
                    judge(to_tensor(window, SPEC))
            number += 1
        capture.release()
    return CAMERAS * SECONDS / (time.monotonic() - began)


def _eager(network: torch.nn.Module, clip: FloatArray) -> np.ndarray:
    with torch.inference_mode():
        return network.forward_with_heatmap(torch.from_numpy(clip))[0].numpy()  # type: ignore[operator]
