"""A TUF repository in memory, and a web server on loopback whose every answer a test decides.

repository = ReleaseRepository("fleet-a")
repository.release("door", {"manifest.json": b"{}", "model.onnx": b"..."})
with serving(repository.files) as server:
    ...                                     # server.url, server.requests
repository.write(directory)                 # or as plain files
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from vedette_edge.config.ota import OtaConfig
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.layout import Store
from vedette_edge.ota.release import Release, file_target, release_target
from vedette_edge.ota.trust import Offer, TrustedRepository

TOP = ("root", "targets", "snapshot", "timestamp")
BUNDLE = {"manifest.json": b'{"of": "door"}', "model.onnx": b"weights" * 1000}


class ReleaseRepository:
    """Signs as a release workstation does; `files` are what a server has, by path below its address."""

    def __init__(self, *fleets: str, threshold: int = 1, days: float = 30) -> None:
        """Publish version 1 of all, which expires in `days`; each role has `threshold` keys, all needed."""
        self.files: dict[str, bytes] = {}
        self.expires = datetime.now(timezone.utc) + timedelta(days=days)
        self.roles: dict[str, Metadata] = {
            "root": Metadata(Root(expires=self.expires, consistent_snapshot=True)),
            "timestamp": Metadata(Timestamp(expires=self.expires)),
            "snapshot": Metadata(Snapshot(expires=self.expires)),
            "targets": Metadata(Targets(expires=self.expires)),
        }
        self.signers: dict[str, list[CryptoSigner]] = {}
        for role in TOP:
            self.root.roles[role].threshold = threshold
            self.rotate(role)
        for fleet in fleets:
            self.delegate(fleet, [f"{fleet}/*/release.json", f"{fleet}/*/files/*"])
        self._sign_and_file(*self.roles)

    @property
    def root(self) -> Root:
        return self.roles["root"].signed

    @property
    def first_root(self) -> bytes:
        """What comes with a device."""
        return self.files["metadata/1.root.json"]

    def targets(self, role: str) -> Targets:
        return self.roles[role].signed

    def delegate(self, role: str, paths: list[str], *, parent: str = "targets", terminating=True) -> None:
        """Have `parent` name a key for a role; publish both then."""
        delegations = self.targets(parent).delegations or Delegations(keys={}, roles={})
        self.targets(parent).delegations = delegations
        delegations.roles[role] = DelegatedRole(role, [], 1, terminating, paths)
        self.roles.setdefault(role, Metadata(Targets(expires=self.expires)))
        signer = CryptoSigner.generate_ed25519()
        self.targets(parent).add_key(signer.public_key, role)
        self.signers.setdefault(role, []).append(signer)

    def rotate(self, role: str) -> None:
        """Give a top-level role new keys; publish root, and the role, then."""
        for key in list(self.root.roles[role].keyids):
            self.root.revoke_key(key, role)
        fresh = [CryptoSigner.generate_ed25519() for _ in range(self.root.roles[role].threshold)]
        for signer in fresh:
            self.root.add_key(signer.public_key, role)
        if role == "root":
            # A new root is signed by the keys before it, too.
            self._former_root = self.signers.get("root", [])
        self.signers[role] = fresh

    def publish(self, *roles: str) -> None:
        """Sign a new version of roles, then of snapshot and timestamp."""
        online = ("snapshot", "timestamp")
        self.sign(*(role for role in roles if role not in online), *online)

    def sign(self, *roles: str) -> None:
        """Sign a new version of just these roles, in this order."""
        for role in roles:
            self.roles[role].signed.version += 1
        self._sign_and_file(*roles)

    def target(self, role: str, name: str, data: bytes, custom: Mapping | None = None) -> TargetFile:
        """Add a target; publish the role then."""
        target = TargetFile.from_data(name, data, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = dict(custom)
        self.targets(role).targets[name] = target
        directory, _, base = name.rpartition("/")
        self.files[f"targets/{directory}/{target.hashes['sha256']}.{base}"] = data
        return target

    def release(
        self, model: str, bundle: Mapping[str, bytes], number: int = 1, *, share: int = 1, fleet="fleet-a"
    ) -> Release:
        """Publish a release of a model, for all nodes or none (canonical JSON has no fractions)."""
        entries = []
        for path, data in bundle.items():
            digest = hashlib.sha256(data).hexdigest()
            entries.append(FileEntry(path=path, bytes=len(data), sha256=digest))
            self.target(fleet, file_target(fleet, model, digest), data)
        release = Release(model=model, release=number, created=0.0, files=tuple(entries))
        rollout = {"campaign": f"{model}-{number}", "share": share}
        self.target(fleet, release_target(fleet, model), release.model_dump_json().encode(), rollout)
        self.publish(fleet)
        return release

    def write(self, directory: Path) -> None:
        """Lay the repository down as plain files."""
        for name, data in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _sign_and_file(self, *roles: str) -> None:
        order = [*(role for role in roles if role not in TOP), *(role for role in TOP if role in roles)]
        for role in order:
            document = self.roles[role]
            signed = document.signed
            signed.expires = self.expires
            document.signatures.clear()
            for signer in self.signers[role]:
                document.sign(signer, append=True)
            if role == "root":
                for signer in self._former_root:
                    document.sign(signer, append=True)
                self._former_root = []
            version = "" if role == "timestamp" else f"{signed.version}."
            self.files[f"metadata/{version}{role}.json"] = document.to_bytes()
            if role == "snapshot":
                self.roles["timestamp"].signed.snapshot_meta = MetaFile(signed.version)
            elif role not in TOP or role == "targets":
                self.roles["snapshot"].signed.meta[f"{role}.json"] = MetaFile(signed.version)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]


Answer = Callable[[BaseHTTPRequestHandler], None]
"""Writes a whole answer, with its status line, to a handler's `wfile`."""


@dataclass
class Server:
    """What is served, and what was asked for.

    Attributes:
        url: its address.
        files: by path below it.
        answers: instead of files, by path.
        requests: in order.
        sent: bytes of bodies that were sent.
        stopping: is set as the server closes.
    """

    url: str
    files: Mapping[str, bytes]
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@contextlib.contextmanager
def serving(files: Mapping[str, bytes], tls: tuple[Path, Path] | None = None) -> Iterator[Server]:
    """Serve `files`, which may change meanwhile, as a plain web server with Range does.

    Args:
        files: by path.
        tls: a certificate for localhost and its key; None: plain http.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            server.requests.append(Request(path, dict(self.headers)))
            with contextlib.suppress(ConnectionError):
                server.answers.get(path, self.serve_file)(self)

        def serve_file(self, _: BaseHTTPRequestHandler) -> None:
            data = server.files.get(self.path.lstrip("/"))
            if data is None:
                answer(404, b"not found")(self)
            elif "Range" in self.headers:
                begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                span = f"bytes {begin}-{len(data) - 1}/{len(data)}"
                answer(206, data[begin:], {"Content-Range": span})(self)
            else:
                answer(200, data)(self)

        def count(self, sent: int) -> None:
            server.sent += sent

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what is tested."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}", files)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
            server.url = f"https://localhost:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            http.shutdown()
            thread.join()


def answer(
    status: int, body: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer with a body of known length, or, where it comes in pieces, until the connection is closed."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        told = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {"Connection": "close"}
        for name, value in {**told, **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = not isinstance(body, bytes)
        for piece in [body] if isinstance(body, bytes) else body:
            handler.wfile.write(piece)
            handler.wfile.flush()
            handler.count(len(piece))
        if isinstance(body, bytes) and int({**told, **(headers or {})}["Content-Length"]) != len(body):
            handler.close_connection = True

    return write


class Device:
    """A device's side of a repository: its root of trust, store and clock."""

    def __init__(self, directory: Path, repository: ReleaseRepository, url: str, **settings: object) -> None:
        """Provision a device of `fleet-a`; `settings` of the section 'ota' besides."""
        root = directory / "root.json"
        root.write_bytes(repository.first_root)
        given = {"fleet": "fleet-a", "models": ("door",), "least_rate": 1000.0, **settings}
        self.config = OtaConfig(url=url, root=root, store=directory / "store", **given)
        self.store = Store(directory / "store")
        self.partial = directory / "partial"
        self.ahead = 0.0

    @contextlib.contextmanager
    def visit(self, *, window: float = 30.0) -> Iterator[TrustedRepository]:
        """Begin a visit, at the time of a clock that is `ahead` seconds wrong."""
        visit = TrustedRepository(
            self.config, self.store, clock=lambda: time.time() + self.ahead, window=window
        )
        with contextlib.closing(visit):
            yield visit

    def offer(self, model: str = "door") -> Offer | None:
        """Ask once what the current release is."""
        with self.visit() as repository:
            return repository.offer(model)

    def fetch(self, entry: FileEntry, model: str = "door", *, window: float = 30.0) -> bytes:
        """Fetch a file of a release, and return it."""
        with self.visit(window=window) as repository:
            repository.fetch(model, entry, self.partial)
        return self.partial.read_bytes()


def record_flushes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the path of each file and directory that is flushed to the disk."""
    flushed: list[str] = []
    flush = os.fsync

    def recorded(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return flushed
