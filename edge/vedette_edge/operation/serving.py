"""Opens the agent's doors to the device: the status socket, and Prometheus where it is asked for."""

from __future__ import annotations

import contextlib
import logging

from vedette_edge.config import AgentConfig
from vedette_edge.operation.overview import Overview
from vedette_edge.operation.status import StatusServer, socket_of_the_agent

__all__ = ["served"]

_log = logging.getLogger(__name__)


def served(stack: contextlib.ExitStack, config: AgentConfig, overview: Overview) -> None:
    """Serve the overview until `stack` ends.

    A status socket that cannot be made is logged: watching matters more.

    Raises:
        ConfigError: when Prometheus' port is taken.
    """
    path = socket_of_the_agent(config.state_dir)
    try:
        stack.enter_context(StatusServer(path, overview.status))
    except OSError as error:
        _log.warning("%s: edge-agent status will not work (%s)", path, error.strerror or error)
    if config.prometheus.enabled:
        # Imported on use: a device that nobody scrapes spares its 2.6 MiB.
        from vedette_edge.operation.prometheus import AgentCollector, PrometheusServer

        collector = AgentCollector(overview.status, overview.model_histograms, overview.stage_histograms)
        stack.enter_context(PrometheusServer(config.prometheus.host, config.prometheus.port, collector))
        _log.info("figures for Prometheus at %s:%d", config.prometheus.host, config.prometheus.port)
