from __future__ import annotations

import json

import pytest

from vedette_edge.publish.hosts import Hosts
from vedette_edge.publish.wire import Received


def said(host, online, timestamp):
    payload = json.dumps({"online": online, "timestamp": timestamp}).encode()
    return Received(f"vedette/v1/hall/host/{host}/state", payload)


def test_a_site_without_control_rooms_is_heard():
    assert Hosts().heard


def test_it_is_heard_while_one_of_them_listens():
    hosts = Hosts()
    hosts.take(said("a", False, 1))
    assert not hosts.heard
    hosts.take(said("b", True, 1))
    assert hosts.heard


def test_a_will_of_the_past_changes_nothing():
    hosts = Hosts()
    hosts.take(said("a", True, 20))
    hosts.take(said("a", False, 10))
    assert hosts.heard


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"online": 3}', b'{"online": true, "timestamp": -1}'])
def test_what_is_no_state_changes_nothing(payload, caplog):
    hosts = Hosts()
    hosts.take(Received("vedette/v1/hall/host/a/state", payload))
    assert hosts.heard
    assert "not the state of a host" in caplog.text


def test_it_remembers_no_end_of_hosts():
    hosts = Hosts()
    for number in range(100):
        hosts.take(said(f"h{number}", False, 1))
    hosts.take(said("one-more", True, 1))
    assert not hosts.heard
