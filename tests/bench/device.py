"""What the agent costs a device: memory, time to the first verdict, time from a frame to the broker.

One 720p25 camera, the streaming MobileNetV2-3D of 16x128x128 in ONNX Runtime, a real broker. Memory is
proportional (PSS), so that what agent and capture share counts once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bundles import causal_network, write_network_bundle
from capacity import write_camera

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from edge_helpers import MOSQUITTO, Listener, free_port, mosquitto

SECONDS = 30.0
_MIB = 2**20


def run() -> Iterator[str]:
    """Yield one line a figure."""
    yield f"agent without a runtime, imported: {_imported() / _MIB:.0f} MiB"
    if not MOSQUITTO.exists():
        yield "the rest needs Mosquitto"
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = write_network_bundle(folder / "bundle", causal_network())
        video = write_camera(folder, SECONDS)
        yield f"cold start to the first verdict: {_first_verdict(folder, bundle, video):.2f} s"
        yield from _watched(folder, bundle, video)


def _imported() -> int:
    code = "import vedette_edge.agent, time; print(flush=True); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = _proportional(process.pid)
        process.kill()
    return found


def _first_verdict(folder: Path, bundle: Path, video: Path) -> float:
    config = _config(folder, bundle, video, pace="fast", port=1)
    scores = folder / "first.jsonl"
    began = time.monotonic()
    process = _start(config, "--scores", str(scores))
    while not (scores.exists() and scores.stat().st_size):
        time.sleep(0.005)
    took = time.monotonic() - began
    process.kill()
    process.wait()
    return took


def _watched(folder: Path, bundle: Path, video: Path) -> Iterator[str]:
    port = free_port()
    with mosquitto(folder, port), Listener(port) as listener:
        process = _start(_config(folder, bundle, video, pace="realtime", port=port))
        most = 0
        while process.poll() is None:
            most = max(most, _family(process.pid))
            time.sleep(0.5)
        metrics = listener.payloads("metrics")[-1]
    told, inference = metrics["publish_ms"], metrics["inference_ms"]
    yield f"agent and capture of one camera, at most: {most / _MIB:.0f} MiB"
    yield (
        f"from a frame to the broker's answer, p95 of {told['count']}: {told['p95']:.0f} ms "
        f"(bound: 40 ms a frame + {inference['p95']:.1f} ms an inference + 20 ms); "
        f"{metrics['dropped']} of {metrics['frames']} frames dropped"
    )


def _config(folder: Path, bundle: Path, video: Path, *, pace: str, port: int) -> Path:
    path = folder / f"{pace}.json"
    # Thresholds in the middle of what a network with random weights says: it begins and ends often.
    decision = {"on_threshold": 0.5, "off_threshold": 0.5, "cooldown": 0.0, "min_duration": 0.0}
    source = {"type": "file", "path": str(video), "pace": pace}
    values = {
        "site": "bench",
        "node": "n",
        "models": {"m": {"bundle": str(bundle), "mode": "stream"}},
        "state_dir": str(folder / f"state-{pace}"),
        "cameras": [{"id": "door", "source": source, "decision": decision}],
        "mqtt": {"host": "127.0.0.1", "port": port},
        "drain_timeout": 5.0,
    }
    path.write_text(json.dumps(values))
    return path


def _start(config: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vedette_edge", "run", "--config", str(config), *more]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _family(pid: int) -> int:
    """Return the memory of a process and its children, in bytes."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = Path(f"/proc/{pid}/task").iterdir()
        children += [child for one in threads for child in (one / "children").read_text().split()]
    except OSError:
        return 0
    return sum(_proportional(one) for one in {pid, *map(int, children)})


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
