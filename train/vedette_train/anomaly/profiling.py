"""Where a detector's time and memory go, operation by operation, as CSV."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from vedette_edge.files import write_atomically
from vedette_train.anomaly.run import AnomalyRun

__all__ = ["COLUMNS", "Profiled", "profile_run"]

COLUMNS = (
    "Operation",
    "CPU Time (ms)",
    "Device/CUDA Time (ms)",
    "Called",
    "CPU Memory (MB)",
    "Device Memory (MB)",
)
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Profiled:
    """One model's measurement.

    Attributes:
        name: "backbone", "detector" (what lies on top of it) or "whole".
        milliseconds: median of one picture without the profiler.
        path: the CSV.
    """

    name: str
    milliseconds: float
    path: Path


def profile_run(run: AnomalyRun, out: Path, device: torch.device, *, repeats: int = 5) -> list[Profiled]:
    """Profile backbone, detector and both together on a picture of noise.

    Writes `<name>_profiler_results.csv` for each, and `whole_trace.json` for chrome://tracing.

    Args:
        run: a finished run.
        out: folder for the files.
        device: where to run.
        repeats: pictures that are timed, and that the profiler sums over, after two for warming up.
    """
    detector, _ = run.detector()
    detector.to(device)
    spec = run.recipe.spec
    images = torch.randn(1, 3, spec.height, spec.width, device=device)
    with torch.inference_mode():
        features = detector.features(images)
    models: dict[str, Callable[[], Any]] = {
        "backbone": lambda: detector.features(images),
        "detector": lambda: detector.judge(features),
        "whole": lambda: detector(images),
    }
    out.mkdir(parents=True, exist_ok=True)
    return [_profiled(name, call, out, device, repeats) for name, call in models.items()]


def _profiled(
    name: str, call: Callable[[], Tensor], out: Path, device: torch.device, repeats: int
) -> Profiled:
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with torch.inference_mode():
        for _ in range(_WARM_UP):
            call()
        times = [_seconds(call, device) for _ in range(repeats)]
        with profile(activities=activities, profile_memory=True, record_shapes=True) as profiler:
            for _ in range(repeats):
                call()
    path = out / f"{name}_profiler_results.csv"
    write_atomically(path, _table(profiler.key_averages()).encode())
    if name == "whole":
        profiler.export_chrome_trace(str(out / "whole_trace.json"))
    return Profiled(name, 1000 * statistics.median(times), path)


def _seconds(call: Callable[[], Tensor], device: torch.device) -> float:
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _table(events: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for event in sorted(events, key=lambda one: -one.self_cpu_time_total):
        writer.writerow(
            (
                event.key,
                f"{event.cpu_time_total / 1000:.4f}",
                f"{event.device_time_total / 1000:.4f}",
                event.count,
                f"{event.cpu_memory_usage / 2**20:.4f}",
                f"{event.device_memory_usage / 2**20:.4f}",
            )
        )
    return text.getvalue()
