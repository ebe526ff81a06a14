"""A server sends too much."""

import pytest
from tuf_helpers import Device, answer

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.release import release_target


class TestEndlessData:
    @pytest.mark.parametrize(
        ("path", "most"),
        [
            ("metadata/2.root.json", 512_000),
            ("metadata/timestamp.json", 16_384),
            ("metadata/2.snapshot.json", 2_000_000),
            ("metadata/1.targets.json", 5_000_000),
            ("metadata/2.fleet-a.json", 5_000_000),
        ],
    )
    def test_of_metadata_no_more_is_read_than_its_kind_may_have(self, device, server, path, most):
        pieces = (b" " * 65_536 for _ in range(1000))
        server.answers[path] = answer(200, pieces)
        with pytest.raises(TransportError, match=f"more than {most} bytes"):
            device.offer()

    def test_what_is_announced_as_too_long_is_not_read_at_all(self, device, server):
        server.answers["metadata/timestamp.json"] = answer(200, b"", {"Content-Length": "16385"})
        with pytest.raises(TransportError, match="has 16385 bytes, at most 16384 are taken"):
            device.offer()

    def test_a_release_that_is_too_large_for_this_device_is_refused_before_its_first_byte(
        self, tmp_path, repository, server
    ):
        with pytest.raises(UpdateError, match="has 7014 bytes, at most 7000 are taken here"):
            Device(tmp_path, repository, server.url, most_bytes=7000).offer()
        assert not any("files" in path for path in server.paths)

    def test_a_release_document_that_is_too_long_is_not_fetched(self, repository, device, server):
        repository.target("fleet-a", release_target("fleet-a", "door"), b" " * 1_048_577, {})
        repository.publish("fleet-a")
        with pytest.raises(UpdateError, match="has 1048577 bytes, at most 1048576 are taken"):
            device.offer()
        assert not any(path.startswith("targets/") for path in server.paths)
