"""Against a real server on loopback, which does what a bad one would."""

import contextlib
import itertools
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadHTTPError
from tuf_helpers import answer, serving

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.fetcher import Fetcher, Web
from vedette_edge.ota.pace import Pace

WINDOW = 0.3
PATIENCE = 8.0  # a loaded machine is slow, but that is not for ever


@pytest.fixture
def server():
    with serving({"file": b"content"}) as server:
        yield server


@pytest.fixture
def web(server):
    web = Web(server.url, Pace(30.0, 1000.0))
    yield web
    web.close()


@pytest.fixture
def hasty(server):
    """As `web`, but it judges the rate after each `WINDOW`."""
    web = Web(server.url, Pace(30.0, 1000.0, window=WINDOW))
    yield web
    web.close()


def fetched(web, url, most=100):
    return Fetcher(web).download_bytes(url, most)


def slowly(server, head, byte):
    """Send a head, then a byte now and then, until the server closes."""

    def write(handler):
        handler.wfile.write(head)
        for _ in itertools.count():
            handler.wfile.write(byte)
            handler.wfile.flush()
            if server.stopping.wait(0.02):
                return

    return write


def test_what_is_there_comes_over_one_connection(server, web):
    assert [fetched(web, f"{server.url}/file") for _ in range(3)] == [b"content"] * 3
    assert web._pool.num_connections == 1


def test_a_small_page_of_an_error_leaves_the_connection_open(server, web):
    with pytest.raises(DownloadHTTPError):
        fetched(web, f"{server.url}/nothing")
    assert fetched(web, f"{server.url}/file") == b"content"
    assert web._pool.num_connections == 1


def test_no_credentials_and_no_cookies_are_sent(server, web, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.answers["file"] = answer(200, b"x", {"Set-Cookie": "who=me"})
    for _ in range(2):
        fetched(web, f"{server.url}/file")
    for request in server.requests:
        assert set(request.headers) <= {"Host", "User-Agent", "Accept-Encoding", "Connection"}


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "http://", "http://me:secret@host/x", "http://host:x/", "file:///x"]
)
def test_what_is_no_address_of_a_server_is_refused(url):
    with pytest.raises(UpdateError, match="address"):
        Web(url, Pace(1.0, 0.0))


class TestStatuses:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
    def test_an_error_of_ours_ends_the_matter(self, server, web, status):
        server.answers["file"] = answer(status, b"no")
        with pytest.raises(DownloadHTTPError) as caught:
            fetched(web, f"{server.url}/file")
        assert caught.value.status_code == status
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_an_error_of_theirs_is_for_the_next_visit_and_not_retried(self, server, web, status):
        server.answers["file"] = answer(status, b"no", {"Retry-After": "0"})
        with pytest.raises(TransportError, match=f"answered {status}; the next visit tries again"):
            fetched(web, f"{server.url}/file")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [201, 204, 300, 304])
    def test_an_answer_to_another_question_is_none(self, server, web, status):
        server.answers["file"] = answer(status)
        with pytest.raises(TransportError, match="no answer to that"):
            fetched(web, f"{server.url}/file")

    def test_an_encoded_answer_is_not_unfolded(self, server, web):
        server.answers["file"] = answer(200, b"\x1f\x8b...", {"Content-Encoding": "gzip"})
        with pytest.raises(TransportError, match="encoded"):
            fetched(web, f"{server.url}/file")
        assert server.requests[0].headers["Accept-Encoding"] == "identity"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_within_the_origin_they_are_followed(self, server, web, status):
        server.answers["old"] = answer(status, b"", {"Location": "/file"})
        assert fetched(web, f"{server.url}/old") == b"content"

    @pytest.mark.parametrize(
        "location",
        [
            "http://elsewhere.invalid/file",
            "https://127.0.0.1/file",
            "//127.0.0.1:1/file",
            "ftp://x",
            "file:///x",
        ],
    )
    def test_elsewhere_they_are_not(self, server, web, location):
        server.answers["old"] = answer(302, b"", {"Location": location})
        with pytest.raises(TransportError, match="leads elsewhere"):
            fetched(web, f"{server.url}/old")

    def test_a_circle_of_them_ends(self, server, web):
        server.answers["old"] = answer(302, b"", {"Location": "/old"})
        with pytest.raises(TransportError, match="more than 3 redirects"):
            fetched(web, f"{server.url}/old")
        assert len(server.requests) == 4


class TestLengths:
    def test_as_much_as_is_allowed_comes(self, server, web):
        assert fetched(web, f"{server.url}/file", len(b"content")) == b"content"

    def test_one_byte_more_does_not(self, server, web):
        with pytest.raises(TransportError, match="has 7 bytes, at most 6 are taken"):
            fetched(web, f"{server.url}/file", 6)

    def test_a_length_that_is_not_told_is_found_out(self, server, web):
        server.answers["file"] = answer(200, [b"con", b"tent"])
        assert fetched(web, f"{server.url}/file", 7) == b"content"
        with pytest.raises(TransportError, match="more than 6 bytes"):
            fetched(web, f"{server.url}/file", 6)

    def test_less_than_was_told_is_a_broken_connection(self, server, web):
        server.answers["file"] = answer(200, b"content", {"Content-Length": "8"})
        with pytest.raises(TransportError, match="cannot be fetched"):
            fetched(web, f"{server.url}/file")

    def test_a_server_that_is_not_there_is_for_the_next_visit(self):
        with serving({}) as gone:
            pass
        with pytest.raises(TransportError, match="the next visit tries again"):
            fetched(Web(gone.url, Pace(5.0, 0.0)), f"{gone.url}/file")

    def test_what_is_no_http_is_for_the_next_visit(self, server, web):
        server.answers["file"] = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        with pytest.raises(TransportError):
            fetched(web, f"{server.url}/file")


class TestSlowRetrieval:
    OK = b"HTTP/1.1 200 OK\r\n"

    @pytest.mark.parametrize(
        ("head", "byte"),
        [
            (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
            (OK + b"\r\n", b"x"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
            (OK + b"X-Long: ", b"x"),
            (b"HTTP/1.1 200 O", b"K"),
            (b"", b"H"),
        ],
        ids=["body", "body of no length", "chunks", "length of a chunk", "header", "status line", "garbage"],
    )
    def test_a_trickle_ends_within_a_window(self, server, hasty, head, byte):
        server.answers["file"] = slowly(server, head, byte)
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"bytes in .* s, at least 300 are expected"):
            fetched(hasty, f"{server.url}/file", 1_000_000)
        assert WINDOW * 0.9 < time.monotonic() - began < PATIENCE

    def test_silence_ends_within_a_window(self, server, hasty):
        server.answers["file"] = lambda _: server.stopping.wait(10)
        began = time.monotonic()
        with pytest.raises(TransportError, match="sent 0 bytes"):
            fetched(hasty, f"{server.url}/file")
        assert time.monotonic() - began < PATIENCE

    def test_silence_ends_though_no_rate_is_asked_for(self, server):
        server.answers["file"] = lambda _: server.stopping.wait(10)
        with pytest.raises(TransportError, match="sent 0 bytes"):
            fetched(Web(server.url, Pace(30.0, 0.0, window=WINDOW)), f"{server.url}/file")

    def test_a_slow_start_that_catches_up_is_no_trickle(self, server, web):
        def pieces():
            yield b"x"
            server.stopping.wait(WINDOW)
            yield b"x" * 9_999

        server.answers["file"] = answer(200, pieces())
        assert len(fetched(web, f"{server.url}/file", 10_000)) == 10_000

    def test_a_burst_does_not_buy_silence_for_ever(self, server, hasty):
        def pieces():
            yield b"x" * 100_000
            server.stopping.wait(10)

        server.answers["file"] = answer(200, pieces())
        began = time.monotonic()
        with pytest.raises(TransportError, match="sent 0 bytes"):
            fetched(hasty, f"{server.url}/file", 1_000_000)
        assert time.monotonic() - began < PATIENCE

    def test_the_deadline_is_of_the_visit_not_of_a_request(self, server):
        web = Web(server.url, Pace(0.4, 0.0, window=WINDOW))
        server.answers["file"] = slowly(server, self.OK + b"Content-Length: 1000000\r\n\r\n", b"x")
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"took more than 0\.4 s"):
            fetched(web, f"{server.url}/file", 1_000_000)
        with pytest.raises(TransportError, match=r"took more than 0\.4 s"):
            fetched(web, f"{server.url}/other")
        assert time.monotonic() - began < PATIENCE
        assert server.paths == ["file"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 X\r\nContent-"]))
def test_whatever_a_server_sends_ends_in_bytes_or_in_one_of_our_errors(server, web, sent, head):
    def write(handler):
        handler.wfile.write(head + sent)
        handler.close_connection = True

    server.answers["file"] = write
    with contextlib.suppress(UpdateError, DownloadHTTPError):
        assert len(fetched(web, f"{server.url}/file")) <= 100


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path):
        """Write a certificate for localhost, and its key; return both."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    @pytest.fixture
    def server(self, certificate):
        with serving({"file": b"content"}, certificate) as server:
            yield server

    @pytest.fixture
    def trusted(self, certificate, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    @pytest.mark.usefixtures("trusted")
    def test_a_server_whose_certificate_the_system_trusts_is_heard(self, server, web):
        assert fetched(web, f"{server.url}/file") == b"content"

    def test_any_other_is_not(self, server, web):
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            fetched(web, f"{server.url}/file")
        assert server.requests == []

    @pytest.mark.usefixtures("trusted")
    def test_one_of_another_name_is_not(self, server):
        url = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            fetched(Web(url, Pace(5.0, 0.0)), f"{url}/file")

    @pytest.mark.usefixtures("trusted")
    def test_a_trickle_ends_within_a_window_here_too(self, server, hasty):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        server.answers["file"] = slowly(server, head, b"x")
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"bytes in .* s, at least 300 are expected"):
            fetched(hasty, f"{server.url}/file", 1_000_000)
        assert time.monotonic() - began < PATIENCE


class TestPace:
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    def test_only_time_spent_waiting_is_the_servers(self):
        clock = self.Clock()
        pace = Pace(1000.0, 10.0, window=30.0, clock=clock)
        for _ in range(5):
            with pace.waiting() as count:
                count(1)
                clock.now += 1.0
            clock.now += 100.0  # a slow disk
        assert pace.patience() == 25.0

    def test_a_window_with_enough_begins_the_next(self):
        clock = self.Clock()
        pace = Pace(1000.0, 10.0, window=30.0, clock=clock)
        for _ in range(3):
            with pace.waiting() as count:
                clock.now += 30.0
                count(300)
            assert pace.patience() == 30.0
        slow = pace.waiting()
        slow.__enter__()(299)
        clock.now += 30.0
        with pytest.raises(TransportError, match="sent 299 bytes in 30 s, at least 300 are expected"):
            slow.__exit__(None, None, None)

    def test_the_last_wait_is_no_longer_than_the_visit(self):
        clock = self.Clock()
        pace = Pace(50.0, 0.0, window=30.0, clock=clock)
        clock.now += 45.0
        assert pace.patience() == 5.0
        clock.now += 5.0
        with pytest.raises(TransportError, match="took more than 50 s"):
            pace.patience()
