"""The cases of a resumed download that Mender names, and some more, against a real server on loopback."""

import errno
import hashlib
import os
import random
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf_helpers import answer, record_flushes, serving

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota import download as module
from vedette_edge.ota.download import Wanted, download
from vedette_edge.ota.fetcher import Web
from vedette_edge.ota.pace import Pace

CONTENT = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = 100_000


@pytest.fixture
def server():
    with serving({"file": CONTENT}) as server:
        yield server


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "partial"


def fetch(server, partial, *, window=10.0, **changes):
    wanted = {"url": f"{server.url}/file", "length": len(CONTENT), "hashes": {"sha256": SHA256}, **changes}
    web = Web(server.url, Pace(30.0, 1000.0, window=window))
    try:
        download(web, Wanted(**wanted), partial)
    finally:
        web.close()


def ranges(server):
    return [request.headers.get("Range") for request in server.requests]


def span(first, last, length=200_000):
    return {"Content-Range": f"bytes {first}-{last}/{length}"}


REST = span(HALF, len(CONTENT) - 1)


class TestWithoutAPart:
    def test_a_whole_file_comes_in_one_request(self, server, partial):
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert ranges(server) == [None]

    def test_an_empty_file_needs_no_request(self, server, partial):
        fetch(server, partial, length=0, hashes={"sha256": hashlib.sha256(b"").hexdigest()})
        assert partial.read_bytes() == b""
        assert server.requests == []

    def test_every_hash_that_is_signed_must_hold(self, server, partial):
        sha512 = hashlib.sha512(CONTENT).hexdigest()
        fetch(server, partial, hashes={"sha256": SHA256, "sha512": sha512})
        partial.unlink()
        with pytest.raises(TransportError, match="not the file that is signed"):
            fetch(server, partial, hashes={"sha256": SHA256, "sha512": "0" * 128})

    @pytest.mark.parametrize("hashes", [{}, {"md5": "0" * 32}, {"sha256": SHA256, "crc": "1"}])
    def test_without_a_hash_that_is_known_nothing_is_fetched(self, server, partial, hashes):
        with pytest.raises(UpdateError, match="is signed with"):
            fetch(server, partial, hashes=hashes)
        assert server.requests == []

    def test_it_may_come_without_a_length(self, server, partial):
        server.answers["file"] = answer(200, [CONTENT[:HALF], CONTENT[HALF:]])
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    @pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1])
    def test_another_length_than_is_signed_is_refused_before_the_first_byte(self, server, partial, length):
        server.files = {"file": bytes(length)}
        with pytest.raises(TransportError, match=f"has {length} bytes, {len(CONTENT)} are signed"):
            fetch(server, partial)
        assert partial.read_bytes() == b""

    def test_more_than_is_signed_is_not_written(self, server, partial):
        server.answers["file"] = answer(200, (bytes(65_536) for _ in range(100)))
        with pytest.raises(TransportError, match=f"more than {len(CONTENT)} bytes"):
            fetch(server, partial)
        assert partial.stat().st_size <= len(CONTENT)

    def test_less_than_is_signed_is_kept_for_the_next_visit(self, server, partial):
        server.answers["file"] = answer(200, [CONTENT[:HALF]])
        with pytest.raises(TransportError, match="ended after 100000 bytes; the next visit goes on"):
            fetch(server, partial)
        assert partial.read_bytes() == CONTENT[:HALF]

    def test_a_part_that_nobody_asked_for_is_refused(self, server, partial):
        server.answers["file"] = answer(206, CONTENT, span(0, len(CONTENT) - 1))
        with pytest.raises(TransportError, match="a part came"):
            fetch(server, partial)

    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_a_file_that_is_not_there_ends_the_matter_for_this_visit(self, server, partial, status):
        server.answers["file"] = answer(status)
        with pytest.raises(TransportError, match="check that the repository is complete"):
            fetch(server, partial)
        assert len(server.requests) == 1


class TestWithAPart:
    @pytest.fixture(autouse=True)
    def half(self, partial):
        partial.write_bytes(CONTENT[:HALF])

    def test_only_the_rest_comes(self, server, partial):
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert ranges(server) == ["bytes=100000-"]
        assert server.sent == HALF

    def test_a_whole_file_needs_no_request(self, server, partial):
        partial.write_bytes(CONTENT)
        fetch(server, partial)
        assert server.requests == []

    @pytest.mark.parametrize("length", [1, len(CONTENT) - 1])
    def test_it_goes_on_wherever_it_ended(self, server, partial, length):
        partial.write_bytes(CONTENT[:length])
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert server.sent == len(CONTENT) - length

    def test_a_server_without_range_sends_the_whole(self, server, partial):
        server.answers["file"] = answer(200, CONTENT)
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert len(server.requests) == 1

    def test_a_total_that_is_not_told_is_taken(self, server, partial):
        server.answers["file"] = answer(206, CONTENT[HALF:], span(HALF, len(CONTENT) - 1, "*"))
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_a_rest_without_a_length_is_taken(self, server, partial):
        server.answers["file"] = answer(206, [CONTENT[HALF:]], REST)
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_an_etag_that_has_changed_does_not_matter_where_the_bytes_have_not(self, server, partial):
        server.answers["file"] = answer(206, CONTENT[HALF:], REST | {"ETag": '"another"'})
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Content-Range": ""},
            {"Content-Range": "bytes"},
            {"Content-Range": "nonsense"},
            {"Content-Range": "bytes 100000-/200000"},
            {"Content-Range": "bytes -100000/200000"},
            {"Content-Range": "bytes 100000-199999"},
            {"Content-Range": "bytes 100000-199999/"},
            {"Content-Range": "bytes */200000"},
            {"Content-Range": "octets 100000-199999/200000"},
            {"Content-Range": "bytes 0x186a0-199999/200000"},
            {"Content-Range": "bytes 99999999999999999999999-199999/200000"},
            {"Content-Type": "multipart/byteranges; boundary=x"},
            span(0, len(CONTENT) - 1),
            span(HALF - 1, len(CONTENT) - 1),
            span(HALF + 1, len(CONTENT) - 1),
            span(HALF, len(CONTENT) - 2),
            span(HALF, len(CONTENT)),
            span(HALF, HALF - 1),
            span(HALF, len(CONTENT) - 1, len(CONTENT) - 1),
            span(HALF, len(CONTENT) - 1, len(CONTENT) + 1),
        ],
        ids=lambda headers: next(iter(headers.values()), "missing") or "empty",
    )
    def test_a_content_range_that_does_not_fit_costs_a_whole_download(self, server, partial, headers):
        def write(handler):
            if "Range" in handler.headers:
                return answer(206, CONTENT[HALF:], headers)(handler)
            return answer(200, CONTENT)(handler)

        server.answers["file"] = write
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert ranges(server) == ["bytes=100000-", None]

    @pytest.mark.parametrize("length", [HALF - 1, HALF + 1])
    def test_a_length_that_does_not_fit_the_range_costs_a_whole_download(self, server, partial, length):
        def write(handler):
            if "Range" in handler.headers:
                return answer(206, bytes(length), REST)(handler)
            return answer(200, CONTENT)(handler)

        server.answers["file"] = write
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_a_range_that_cannot_be_had_costs_a_whole_download(self, server, partial):
        def write(handler):
            if "Range" in handler.headers:
                return answer(416, b"", {"Content-Range": "bytes */10"})(handler)
            return answer(200, CONTENT)(handler)

        server.answers["file"] = write
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_a_range_that_can_never_be_had_ends(self, server, partial):
        server.answers["file"] = answer(416)
        with pytest.raises(TransportError):
            fetch(server, partial)
        assert len(server.requests) == 2

    def test_a_part_of_another_file_costs_a_whole_download(self, server, partial):
        partial.write_bytes(bytes(HALF))
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert ranges(server) == ["bytes=100000-", None]

    def test_a_whole_file_that_is_another_costs_a_whole_download(self, server, partial):
        partial.write_bytes(bytes(len(CONTENT)))
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_a_part_that_is_longer_than_the_file_costs_a_whole_download(self, server, partial):
        partial.write_bytes(CONTENT + b"x")
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT
        assert ranges(server) == [None]

    def test_a_file_that_has_changed_on_the_server_is_thrown_away(self, server, partial):
        server.files = {"file": bytes(len(CONTENT))}
        with pytest.raises(TransportError, match="not the file that is signed; it was thrown away"):
            fetch(server, partial)
        assert partial.read_bytes() == b""
        assert ranges(server) == ["bytes=100000-", None]

    def test_a_rest_that_breaks_off_is_kept(self, server, partial):
        server.answers["file"] = answer(206, [CONTENT[HALF : HALF + 5]], REST)
        with pytest.raises(TransportError, match="ended after 100005 bytes"):
            fetch(server, partial)
        assert partial.read_bytes() == CONTENT[: HALF + 5]

    def test_a_rest_that_is_too_long_is_not_written(self, server, partial):
        server.answers["file"] = answer(206, [CONTENT[HALF:], b"more"], REST)
        with pytest.raises(TransportError, match="more than 100000 bytes"):
            fetch(server, partial)
        assert partial.stat().st_size <= len(CONTENT)

    def test_a_connection_that_breaks_off_is_resumed_by_the_next_visit(self, server, partial):
        def write(handler):
            answer(206, CONTENT[HALF:][:10], REST | {"Content-Length": str(HALF)})(handler)

        server.answers["file"] = write
        with pytest.raises(TransportError):
            fetch(server, partial)
        server.answers.clear()
        fetch(server, partial)
        assert ranges(server) == ["bytes=100000-", "bytes=100010-"]

    @pytest.mark.parametrize("status", [404, 500, 503])
    def test_what_there_is_is_kept_while_the_server_fails(self, server, partial, status):
        server.answers["file"] = answer(status)
        with pytest.raises(TransportError):
            fetch(server, partial)
        assert partial.read_bytes() == CONTENT[:HALF]

    def test_what_there_is_is_kept_while_the_server_is_silent(self, server, partial):
        server.answers["file"] = lambda _: server.stopping.wait(5)
        with pytest.raises(TransportError, match="sent 0 bytes"):
            fetch(server, partial, window=0.3)
        assert partial.read_bytes() == CONTENT[:HALF]


class TestWhatLiesThere:
    def test_a_symbolic_link_is_not_written_through(self, server, partial, tmp_path):
        (tmp_path / "other").write_bytes(b"precious")
        partial.symlink_to(tmp_path / "other")
        with pytest.raises(TransportError, match="is no regular file; remove it"):
            fetch(server, partial)
        assert (tmp_path / "other").read_bytes() == b"precious"

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_what_is_no_file_is_left_alone(self, server, partial, make):
        make(partial)
        with pytest.raises(TransportError, match="is no regular file; remove it"):
            fetch(server, partial)
        assert server.requests == []

    def test_a_file_that_a_slot_shares_is_not_written_to(self, server, partial, tmp_path):
        (tmp_path / "slot").write_bytes(CONTENT[:HALF])
        os.link(tmp_path / "slot", partial)
        fetch(server, partial)
        assert (tmp_path / "slot").read_bytes() == CONTENT[:HALF]
        assert partial.read_bytes() == CONTENT

    def test_a_file_that_is_read_only_is_made_anew(self, server, partial):
        partial.write_bytes(CONTENT[:HALF])
        partial.chmod(0o444)
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_only_its_owner_reads_it(self, server, partial):
        fetch(server, partial)
        assert partial.stat().st_mode & 0o777 == 0o600

    def test_a_directory_that_is_not_there_is_one_clear_error(self, server, tmp_path):
        with pytest.raises(TransportError, match="cannot store what comes"):
            fetch(server, tmp_path / "nowhere" / "partial")

    def test_a_full_disk_is_one_clear_error_and_keeps_what_is_there(self, server, partial):
        partial.write_bytes(CONTENT[:HALF])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF + 10, before[1]))
        try:
            with pytest.raises(TransportError, match="cannot store what comes"):
                fetch(server, partial)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert partial.read_bytes()[:HALF] == CONTENT[:HALF]
        fetch(server, partial)
        assert partial.read_bytes() == CONTENT

    def test_what_came_is_flushed_also_when_it_breaks_off(self, server, partial, monkeypatch):
        flushed = record_flushes(monkeypatch)
        server.answers["file"] = answer(200, [CONTENT[:HALF]])
        with pytest.raises(TransportError):
            fetch(server, partial)
        assert flushed == [str(partial), str(partial.parent)]

    def test_a_disk_that_cannot_flush_is_one_clear_error(self, server, partial, monkeypatch):
        def failing(_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(module.os, "fsync", failing)
        with pytest.raises(TransportError, match="cannot store what comes"):
            fetch(server, partial)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_however_often_it_breaks_off_the_file_comes_whole_and_no_byte_comes_twice(tmp_path_factory, data):
    content = data.draw(st.binary(min_size=1, max_size=300))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content)), max_size=5)) | {len(content)})
    partial = tmp_path_factory.mktemp("download") / "partial"
    with serving({"file": content}) as server:
        hashes = {"sha256": hashlib.sha256(content).hexdigest()}
        begin = 0
        for end in cuts:
            status = 206 if begin else 200
            headers = span(begin, len(content) - 1, len(content)) if begin else {}
            server.answers["file"] = answer(status, [content[begin:end]], headers)
            try:
                fetch(server, partial, length=len(content), hashes=hashes)
            except TransportError:
                assert end < len(content)
            begin = end
        assert partial.read_bytes() == content
        assert server.sent == len(content)
