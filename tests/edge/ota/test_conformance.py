"""The commands by which the public TUF conformance suite drives the client."""

import pytest
from tuf_helpers import ReleaseRepository, serving

from vedette_edge.ota.conformance import main

NAME = "fleet-a/some/files/thing"


@pytest.fixture
def repository():
    repository = ReleaseRepository("fleet-a")
    repository.target("fleet-a", NAME, b"content")
    repository.publish("fleet-a")
    return repository


@pytest.fixture
def client(tmp_path, repository):
    """Calls a command of an initialised client."""
    for name in ("metadata", "targets"):
        (tmp_path / name).mkdir()
    root = tmp_path / "initial.json"
    root.write_bytes(repository.first_root)
    directory = ["--metadata-dir", str(tmp_path / "metadata")]
    assert main([*directory, "init", str(root)]) == 0
    with serving(repository.files) as server:

        def call(command, *names):
            targets = [
                "--target-base-url",
                f"{server.url}/targets/",
                "--target-dir",
                str(tmp_path / "targets"),
            ]
            asked = [word for name in names for word in ("--target-name", name)]
            return main([*directory, "--metadata-url", f"{server.url}/metadata/", *targets, *asked, command])

        call.server = server
        yield call


def files(directory):
    return [path.read_bytes() for path in directory.iterdir()]


def test_a_refresh_keeps_the_four_roles_under_plain_names(client, tmp_path):
    assert client("refresh") == 0
    found = {path.name for path in (tmp_path / "metadata").glob("*.json")}
    assert found == {"root.json", "timestamp.json", "snapshot.json", "targets.json"}


def test_a_refresh_that_fails_says_so(client, repository):
    repository.signers["timestamp"] = []
    repository.publish()
    assert client("refresh") == 1


def test_a_target_is_kept_and_fetched_once(client, tmp_path):
    assert client("download", NAME) == 0
    assert client("download", NAME) == 0
    assert files(tmp_path / "targets") == [b"content"]
    assert sum(path.startswith("targets") for path in client.server.paths) == 1


def test_the_first_target_that_fails_ends_it(client, tmp_path):
    assert client("download", "fleet-a/nothing", NAME) == 1
    assert files(tmp_path / "targets") == []


def test_a_target_that_changed_on_the_server_is_not_kept(client, tmp_path, repository):
    path = next(path for path in repository.files if path.endswith(".thing"))
    repository.files[path] = b"malware"
    assert client("download", NAME) == 1
    assert files(tmp_path / "targets") in ([], [b""])


def test_the_floor_holds_here_too(client, tmp_path, repository):
    old = dict(repository.files)
    repository.publish("targets")
    assert client("refresh") == 0
    for path in (tmp_path / "metadata").glob("*s*.json"):
        path.write_bytes(b"")
    client.server.files = old
    assert client("refresh") == 1
