"""The agent's figures for Prometheus, by HTTP at /metrics. Nothing is kept twice: each scrape looks anew.

The registry is the server's own, so that two agents in one process, as in tests, do not mix.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from socketserver import ThreadingTCPServer
from typing import TypeAlias, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import MetricsHandler
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from vedette_edge.errors import ConfigError
from vedette_edge.metrics import Histogram
from vedette_edge.operation.status import ShownStatus, Status
from vedette_edge.topics import CameraMetrics, Metrics

__all__ = ["AgentCollector", "PrometheusServer"]

_log = logging.getLogger(__name__)

Histograms: TypeAlias = Callable[[], Mapping[str, Histogram]]

_PATIENCE = 10.0  # seconds that a client may be silent
# Name, help, and what it is of a camera.
_CAMERA_COUNTERS: tuple[tuple[str, str, Callable[[CameraMetrics], int]], ...] = (
    ("vedette_camera_frames", "Frames read.", lambda camera: camera.frames),
    ("vedette_camera_dropped_frames", "Frames for which there was no time.", lambda camera: camera.dropped),
    ("vedette_camera_restarts", "How often it came back.", lambda camera: camera.restarts),
)
_CAMERA_GAUGES: tuple[tuple[str, str, Callable[[CameraMetrics], float]], ...] = (
    ("vedette_camera_fps", "Frames read a second.", lambda camera: camera.fps),
    ("vedette_camera_queued_frames", "Frames that wait for inference.", lambda camera: camera.queued),
)
_NODE_COUNTERS: tuple[tuple[str, str, Callable[[Metrics], int]], ...] = (
    ("vedette_windows", "Clips and frames that the networks judged.", lambda metrics: metrics.windows),
    ("vedette_events", "Event messages written.", lambda metrics: metrics.events),
)
_NODE_GAUGES: tuple[tuple[str, str, Callable[[Metrics], float]], ...] = (
    ("vedette_uptime_seconds", "Since the agent began.", lambda metrics: metrics.uptime),
    ("vedette_outbox_messages", "Messages that wait for the broker.", lambda metrics: metrics.outbox),
    ("vedette_resident_bytes", "Memory of the agent's process.", lambda metrics: metrics.rss_bytes),
    (
        "vedette_family_resident_bytes",
        "Memory of the agent and its child processes; what they share counts for each.",
        lambda metrics: metrics.rss_total_bytes,
    ),
    ("vedette_governor_step", "0: nothing is held back.", lambda metrics: metrics.governor),
)


class AgentCollector(Collector):
    """Makes Prometheus' families of the agent's status."""

    def __init__(self, status: Callable[[], Status], inference: Histograms, stages: Histograms) -> None:
        """Ask these at each scrape.

        Args:
            status: the agent as it is.
            inference: time of a model's calls, by its name.
            stages: time of each other stage, by its name.
        """
        self._status = status
        self._inference = inference
        self._stages = stages

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        status = self._status()
        metrics = status.metrics
        node = {"site": status.site, "node": status.node, "version": status.agent}
        yield InfoMetricFamily("vedette_agent", "Which node this is.", node)
        yield GaugeMetricFamily(
            "vedette_broker_connected", "1: the broker has accepted us.", status.broker.connected
        )
        for name, text, count in _NODE_COUNTERS:
            yield CounterMetricFamily(name, text, count(metrics))
        for name, text, value in _NODE_GAUGES:
            yield GaugeMetricFamily(name, text, value(metrics))
        if metrics.temperature_c is not None:
            yield GaugeMetricFamily(
                "vedette_temperature_celsius", "Of the hottest sensor that counts.", metrics.temperature_c
            )
        yield from _cameras(status)
        yield from _models(metrics)
        yield _histogram("vedette_inference_seconds", "A call of a model.", "model", self._inference())
        yield _histogram("vedette_stage_seconds", "From frame to broker.", "stage", self._stages())


def _cameras(status: Status) -> Iterator[Metric]:
    for name, text, count in _CAMERA_COUNTERS:
        counter = CounterMetricFamily(name, text, labels=["camera"])
        for camera in status.metrics.cameras:
            counter.add_metric([camera.id], count(camera))
        yield counter
    for name, text, value in _CAMERA_GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["camera"])
        for camera in status.metrics.cameras:
            gauge.add_metric([camera.id], value(camera))
        yield gauge
    states = StateSetMetricFamily("vedette_camera_status", "1: this is its status.", labels=["camera"])
    for state in status.cameras:
        states.add_metric([state.id], {one: one == state.status for one in get_args(ShownStatus)})
    yield states


def _models(metrics: Metrics) -> Iterator[Metric]:
    failovers = CounterMetricFamily(
        "vedette_model_failovers", "How often another variant took over.", labels=["model"]
    )
    for model in metrics.models:
        failovers.add_metric([model.name], model.failovers)
    yield failovers
    variants = InfoMetricFamily("vedette_model", "What runs.", labels=["model"])
    for model in metrics.models:
        variants.add_metric([model.name], {"variant": model.variant})
    yield variants


def _histogram(name: str, text: str, label: str, found: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=[label])
    for key, histogram in found.items():
        buckets = zip(map(floatToGoString, histogram.bounds), histogram.counts, strict=True)
        family.add_metric([key], list(buckets), histogram.total)
    return family


class _Handler(MetricsHandler):
    timeout = _PATIENCE


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - socketserver's
        """Note that a scrape failed, as when the client goes away; the next one is its own."""
        _log.info("a scrape from %s failed", client_address, exc_info=True)


class PrometheusServer:
    """Answers scrapes, in threads of its own."""

    def __init__(self, host: str, port: int, collector: Collector) -> None:
        """Listen at once.

        Args:
            host: name or address to listen at.
            port: TCP.
            collector: what is told.

        Raises:
            ConfigError: when nothing can listen there.
        """
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        handler = type("Handler", (_Handler,), {"registry": registry})
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            server = type("Server", (_Server,), {"address_family": family})
            self._server: _Server = server(address[:2], handler)
        except OSError as error:
            raise ConfigError(
                f"prometheus: cannot listen at {host}:{port} ({error.strerror}); choose another port, or end "
                "what listens there"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="prometheus", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._server.server_address[1])

    def __enter__(self) -> PrometheusServer:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
