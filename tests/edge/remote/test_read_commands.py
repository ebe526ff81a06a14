from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.publish.wire import Exchange, Received
from vedette_edge.remote.arguments import COMMANDS, CameraArguments, ConfigArguments, ThresholdArguments
from vedette_edge.remote.commands import MOST_BYTES, Command, Limits, Refused, read

NOW = 1_700_000_000.0
LIMITS = Limits(clock_skew=30, longest=300)


def command(name="snapshot", payload=None, arrived=NOW, now=NOW, expiry=None, retained=False, **changes):
    content = {"id": "a-1", "exp": NOW + 60, "args": {"camera": "door"}} | changes
    payload = json.dumps(content).encode() if payload is None else payload
    received = Received(f"x/cmd/{name}", payload, retained, Exchange(expiry=expiry))
    return read(name, received, arrived=arrived, now=now, limits=LIMITS)


def refusal(*arguments, **changes):
    with pytest.raises(Refused) as caught:
        command(*arguments, **changes)
    return caught.value


def test_a_command_is_its_name_id_and_arguments():
    assert command() == Command("snapshot", "a-1", CameraArguments(camera="door"))
    args = {"camera": "door", "label": "fight", "value": 0.5}
    assert command("set_threshold", args=args).arguments == ThresholdArguments(**args)
    assert command("config", args={"document": "site: a"}).arguments == ConfigArguments(document="site: a")
    assert command("reload", args={}).name == "reload"


def test_an_integer_is_a_threshold_but_a_text_is_not():
    args = {"camera": "door", "label": "fight"}
    assert command("set_threshold", args=args | {"value": 1}).arguments.value == 1.0
    assert refusal("set_threshold", args=args | {"value": "1"}).reason == "malformed"


def test_a_retained_one_is_refused_whatever_it_says():
    assert refusal(retained=True, payload=b"").reason == "retained"


def test_an_unknown_name_is_refused_with_the_known_ones():
    refused = refusal("reboot")
    assert refused.reason == "unknown"
    assert "snapshot, enable" in str(refused)


def test_what_is_too_large_is_not_even_parsed():
    assert refusal(payload=b"{" * (MOST_BYTES + 1)).reason == "oversized"
    assert refusal(payload=b"{" * MOST_BYTES).reason == "malformed"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[1]",
        b'{"id": "a", "exp": 1e999}',
        b'{"id": "a", "exp": NaN}',
        b'{"id": "a", "exp": "1"}',
        b'{"id": "a/b", "exp": 1}',
        b'{"id": "", "exp": 1}',
        b'{"id": "a", "exp": 1, "also": 1}',
        b'{"exp": 1}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_what_is_no_request_is_malformed(payload):
    assert refusal(payload=payload).reason == "malformed"


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("snapshot", {}, "camera: missing"),
        ("snapshot", {"camera": "a/+"}, "camera"),
        ("snapshot", {"camera": "door", "cam": 1}, "did you mean"),
        ("describe", {"verbose": True}, "verbose"),
        ("config", {"document": ""}, "document"),
        ("config", {"document": "a", "dry_run": "no"}, "dry_run"),
        ("set_threshold", {"camera": "door", "label": "x", "value": 1.5}, "value"),
    ],
)
def test_arguments_that_a_name_does_not_take_are_named(name, args, said):
    refused = refusal(name, args=args)
    assert (refused.reason, refused.command_id) == ("malformed", "a-1")
    assert said in str(refused)


def test_an_expired_one_is_refused_but_for_the_skew_of_the_clocks():
    assert command(now=NOW + 89).id == "a-1"
    refused = refusal(now=NOW + 91)
    assert refused.reason == "expired"
    assert "this node's clock says" in str(refused)


def test_the_expiry_of_mqtt_5_counts_from_the_arrival():
    assert command(expiry=5, now=NOW + 5).id == "a-1"
    assert refusal(expiry=5, now=NOW + 5.1).reason == "expired"


def test_one_that_outlives_what_is_remembered_is_refused():
    assert command(exp=NOW + 330).id == "a-1"
    assert refusal(exp=NOW + 331).reason == "malformed"


@given(st.binary(max_size=200), st.sampled_from([*COMMANDS, "other"]))
def test_garbage_is_refused_and_nothing_else_happens(payload, name):
    refused = refusal(name, payload=payload)
    assert refused.result().ok is False


values = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(-1, 2),
    st.integers(-1, 2),
    st.sampled_from(["door", "a/b", ""]),
    st.lists(st.just(1), max_size=1),
)
keys = st.sampled_from(["camera", "label", "value", "model", "document", "dry_run", "x"])


@given(st.sampled_from(list(COMMANDS)), st.dictionaries(keys, values, max_size=4))
def test_whatever_is_taken_is_what_the_name_takes(name, args):
    try:
        taken = command(name, args=args)
    except Refused:
        return
    assert type(taken.arguments) is COMMANDS[name]
    assert taken.arguments.model_dump(exclude_unset=True) == args
