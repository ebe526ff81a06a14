"""Brings one signed file onto the disk, however often the way breaks off.

What has come stays in a partial file, and the next call asks for the rest (HTTP Range). Only the hash that is
signed decides: a server that answers a Range otherwise than asked, or whose file has changed meanwhile, costs
one more download from the first byte, never a wrong file. Nothing but a regular file that has no other name
is written to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import urllib3
from tuf.api.exceptions import DownloadHTTPError

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.fetcher import Web, body

__all__ = ["Wanted", "download"]

_CHUNK: Final = 65_536
_NOT_SATISFIABLE = 416
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_ALGORITHMS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, as signed metadata describe it.

    Attributes:
        url: where it lies.
        length: in bytes.
        hashes: lower-case hexadecimal, by algorithm; every one must hold.
    """

    url: str
    length: int
    hashes: Mapping[str, str]


def download(web: Web, wanted: Wanted, partial: Path) -> None:
    """Make `partial` the wanted file: whole, hashed, and on the disk.

    Args:
        web: the file's origin, and the visit's pace.
        wanted: what is signed.
        partial: what an earlier call left, or nothing.

    Raises:
        TransportError: when it does not come whole now; what came is kept, unless it is wrong. Or when
            something else than a file lies there.
        UpdateError: when nothing is signed that can be checked.
    """
    if not wanted.hashes or not set(wanted.hashes) <= set(_ALGORITHMS):
        raise UpdateError(
            f"{wanted.url} is signed with {sorted(wanted.hashes)}, {', '.join(_ALGORITHMS)} are known"
        )
    with _kept(partial) as file:
        part = _Part(file, wanted)
        resumed = part.length > 0
        _complete(web, wanted, part)
        if resumed and not part.is_wanted:
            # What was there may be of another file: once more, from the first byte.
            part.restart()
            _complete(web, wanted, part)
        if not part.is_wanted:
            part.restart()
            raise TransportError(
                f"{wanted.url} is not the file that is signed; it was thrown away, and the next visit tries "
                "again. If that stays so, the repository is damaged, or somebody has tampered with it"
            )


class _Part:
    """What has come of a file, hashed as it came."""

    def __init__(self, file: BinaryIO, wanted: Wanted) -> None:
        self._file = file
        self._wanted = wanted
        self._digests = {name: hashlib.new(name) for name in wanted.hashes}
        self.length = 0
        if os.fstat(file.fileno()).st_size > wanted.length:
            self.restart()
        while data := file.read(_CHUNK):
            self._digest(data)

    @property
    def is_wanted(self) -> bool:
        hexadecimal = {name: digest.hexdigest() for name, digest in self._digests.items()}
        return self.length == self._wanted.length and hexadecimal == dict(self._wanted.hashes)

    def append(self, data: bytes) -> None:
        self._file.write(data)
        self._digest(data)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.length = 0
        self._digests = {name: hashlib.new(name) for name in self._wanted.hashes}

    def _digest(self, data: bytes) -> None:
        self.length += len(data)
        for digest in self._digests.values():
            digest.update(data)


def _complete(web: Web, wanted: Wanted, part: _Part) -> None:
    """Fetch until the part is as long as what is wanted."""
    while part.length < wanted.length:
        if not _fetch_more(web, wanted, part):
            part.restart()


def _fetch_more(web: Web, wanted: Wanted, part: _Part) -> bool:
    """Ask once for what is missing; tell whether the part is of use, or must be begun anew.

    From the first byte on there is no second way: then what is no answer to the question is an error.
    """
    url, begin = wanted.url, part.length
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    try:
        with web.get(url, headers, expected=(_NOT_SATISFIABLE,) if begin else ()) as answer:
            if begin and answer.status == 200:
                # No Range for this server: the whole file comes.
                part.restart()
            elif begin and not _is_the_rest(answer, begin, wanted.length):
                return False
            elif not begin and answer.status != 200:
                raise TransportError(f"{url}: a part came ({answer.status}), the whole was asked for")
            _append_body(url, answer, part, wanted.length - part.length)
    except DownloadHTTPError as error:
        raise TransportError(f"{error}; check that the repository is complete") from error
    return True


def _is_the_rest(answer: urllib3.BaseHTTPResponse, begin: int, length: int) -> bool:
    """Tell whether the answer is the file from where ours ends, to its end."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if answer.status != 206 or match is None:
        return False
    rest = str(length - begin)
    return (
        (int(match[1]), int(match[2])) == (begin, length - 1)
        and match[3] in ("*", str(length))
        and answer.headers.get("Content-Length", rest) == rest
    )


def _append_body(url: str, answer: urllib3.BaseHTTPResponse, part: _Part, most: int) -> None:
    told = answer.headers.get("Content-Length", "")
    if answer.status == 200 and told.isdecimal() and int(told) != most:
        raise TransportError(f"{url} has {told} bytes, {most} are signed; the next visit tries again")
    whole = part.length + most
    for data in body(url, answer, most):
        part.append(data)
    if part.length < whole:
        raise TransportError(f"{url} ended after {part.length} bytes; the next visit goes on from there")


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[BinaryIO]:
    """Open a partial file; whatever happens, what is in it then is on the disk."""
    with _mapped_errors(path):
        file = os.fdopen(_open(path), "r+b")
        try:
            yield file
        finally:
            with file:
                file.flush()
                os.fsync(file.fileno())
            _sync_directory(path.parent)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise TransportError(f"{path} is no regular file; remove it")
        # Another name of it is a file of a slot, and so is one that is read-only: nothing may write to these.
        if found.st_nlink > 1 or not found.st_mode & stat.S_IWUSR:
            path.unlink()
    return os.open(path, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _mapped_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransportError(
            f"{path}: cannot store what comes ({error.strerror or error}); the next visit tries again"
        ) from error
