from __future__ import annotations

import http.client
import socket
import urllib.request

import pytest
from operation_helpers import make_metrics, make_status
from prometheus_client.parser import text_string_to_metric_families

from vedette_edge.errors import ConfigError
from vedette_edge.metrics import Durations
from vedette_edge.operation.prometheus import AgentCollector, PrometheusServer


def collector(status=make_status):
    durations = Durations()
    durations.add(0.02)
    durations.add(0.2)
    histogram = durations.histogram()
    return AgentCollector(status, lambda: {"main": histogram}, lambda: {"queue": histogram})


@pytest.fixture
def server():
    with PrometheusServer("127.0.0.1", 0, collector()) as server:
        yield server


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_prometheus_reads_every_figure(server):
    found = scrape(server.port)
    door, main = ("camera", "door"), ("model", "main")
    assert found["vedette_camera_fps", door] == 24.96
    assert found["vedette_camera_frames_total", door] == 100
    assert found["vedette_camera_dropped_frames_total", door] == 3
    assert found["vedette_camera_restarts_total", door] == 2
    assert found["vedette_camera_queued_frames", door] == 1
    assert found["vedette_camera_status", ("camera", "gate"), ("vedette_camera_status", "offline")] == 1
    assert found["vedette_camera_status", ("camera", "gate"), ("vedette_camera_status", "online")] == 0
    assert found["vedette_model_failovers_total", main] == 1
    assert found["vedette_model_info", main, ("variant", "onnx-fp32")] == 1
    assert found["vedette_outbox_messages",] == 5
    assert found["vedette_temperature_celsius",] == 61.5
    assert found["vedette_family_resident_bytes",] == 150 * 2**20
    assert found["vedette_governor_step",] == 2
    assert found["vedette_broker_connected",] == 1
    assert found["process_open_fds",] > 0


def test_latencies_are_histograms(server):
    found = scrape(server.port)
    main, queue = ("model", "main"), ("stage", "queue")
    assert found["vedette_inference_seconds_bucket", ("le", "0.025"), main] == 1
    assert found["vedette_inference_seconds_bucket", ("le", "+Inf"), main] == 2
    assert found["vedette_inference_seconds_count", main] == 2
    assert found["vedette_inference_seconds_sum", main] == pytest.approx(0.22)
    assert found["vedette_stage_seconds_count", queue] == 2


def test_what_is_unknown_is_left_out():
    status = make_status(metrics=make_metrics(temperature_c=None))
    with PrometheusServer("127.0.0.1", 0, collector(lambda: status)) as server:
        assert ("vedette_temperature_celsius",) not in scrape(server.port)


def test_each_scrape_looks_anew():
    outboxes = iter([1, 2])
    fresh = collector(lambda: make_status(metrics=make_metrics(outbox=next(outboxes))))
    with PrometheusServer("127.0.0.1", 0, fresh) as server:
        found = [scrape(server.port)["vedette_outbox_messages",] for _ in range(2)]
    assert found == [1, 2]


def test_a_port_that_is_taken_is_a_clear_error(server):
    with pytest.raises(ConfigError, match=rf"prometheus: cannot listen at 127\.0\.0\.1:{server.port} .*port"):
        PrometheusServer("127.0.0.1", server.port, collector())


def test_a_host_without_an_address_is_a_clear_error():
    with pytest.raises(ConfigError, match="prometheus: cannot listen at no\\.such\\.invalid:1 "):
        PrometheusServer("no.such.invalid", 1, collector())


def test_the_port_is_free_again_afterwards(server):
    server.__exit__()
    with PrometheusServer("127.0.0.1", server.port, collector()) as other:
        assert other.port == server.port
    with PrometheusServer("127.0.0.1", server.port, collector()):
        pass


def test_rubbish_and_silence_keep_nobody_else_from_an_answer(server, capfd):
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        with socket.create_connection(("127.0.0.1", server.port)) as rude:
            rude.sendall(b"\x00\xff rubbish\r\n\r\n")
            assert rude.recv(100)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", "/metrics")
        assert connection.getresponse().status == 501
        connection.close()
        assert scrape(server.port)
        silent.close()
    assert capfd.readouterr().err == ""


def test_a_defect_fails_one_scrape_and_not_the_server():
    statuses = iter([None, make_status()])
    with PrometheusServer("127.0.0.1", 0, collector(lambda: next(statuses))) as server:
        with pytest.raises((http.client.HTTPException, OSError)):
            scrape(server.port)
        assert scrape(server.port)
