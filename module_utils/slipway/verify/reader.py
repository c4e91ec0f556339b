# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what is published at an address, and nothing else: files, their digests, and what is in a directory.

Memory stays small whatever the size of a file is: bytes are hashed as they come, by another thread than the one that
receives them.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import io
import os
import queue
import re
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from ..errors import SlipwayError
from ..escape import redacted
from ..files import open_regular
from ..http import FAILURES, PAUSE, TRIES, Fetcher, Limit, explain_failure, receive_body

Result = TypeVar("Result")

#: Of a file that is kept in memory.
MOST_BYTES = 64 << 20
#: How many bytes are read at once, and how many such buffers are on the way to the digest.
BUFFER, BUFFERS = 1 << 20, 4
#: What stays in an address as it is.
SAFE = "%/:?#[]@!$&'()*+,;=~"
ABSENT = (404, 410)
#: A listing longer than this is none that is read.
MOST_ENTRIES = 200_000
DO_NEXT = "Check the address and the way there, or wait, and run again."
_LISTING = re.compile(rb"<title>\s*(?:Index of|Directory listing)", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    """By what is told, without reading it, whether a file is still the same; all empty where a server says nothing."""

    size: int | None = None
    tag: str = ""
    modified: str = ""

    @property
    def tells(self) -> bool:
        """Whether it says anything by which files can be told apart."""
        return self.size is not None and bool(self.tag or self.modified)


@dataclass(frozen=True)
class Digest:
    """The size and the SHA-256 of what was read, and the mark that it had."""

    size: int
    sha256: str
    mark: Mark


@dataclass(frozen=True)
class Body:
    """A small file with its mark."""

    data: bytes
    mark: Mark

    @property
    def sha256(self) -> str:
        """Its digest."""
        return hashlib.sha256(self.data).hexdigest()


class UnreadableError(SlipwayError):
    """An address did not answer, or not wholly."""


class LateError(UnreadableError):
    """There was no time left to ask."""


class Reader:
    """Reads below ``url`` (file, http or https). ``None`` stands for what is not there.

    ``idle_timeout`` bounds a silence, ``timeout`` one file, and ``within`` all of them. ``ca_path`` is a file of
    certificates to trust instead of the system's. ``skew`` is how far the server's clock is ahead of this machine's,
    which ``clock`` reads, in seconds, once it has answered.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 6 * 3600.0,
        idle_timeout: float = 30.0,
        ca_path: str | None = None,
        clock: Callable[[], float] = time.time,
        within: float | None = None,
    ) -> None:
        parts = _split(url)
        if parts is None:
            raise SlipwayError(
                "verify",
                repr(redacted(url)),
                "it is no address",
                do_next="Give one that begins with https://, http:// or file://.",
            )
        self.url = quote(url.rstrip("/"), safe=SAFE)
        self.local = Path(url2pathname(parts[1])) if parts[0] == "file" else None
        self.skew: float | None = None
        self.clock = clock
        self._timeout, self._idle_timeout = timeout, idle_timeout
        self._ends = None if within is None else time.monotonic() + within
        self._fetcher = None if self.local is not None else Fetcher(trust=_make_trust(ca_path))

    def address(self, path: str) -> str:
        """The address of a file."""
        return f"{redacted(self.url)}/{quote(path)}"

    def read(self, path: str, *, size: int = MOST_BYTES) -> Body | None:
        """A small file."""
        return self.read_changed(path, None, size=size)

    def read_changed(self, path: str, mark: Mark | None, *, size: int = MOST_BYTES) -> Body | None:
        """A small file; without data if it still has this ``mark``."""
        self._require_time(path)
        if self.local is not None:
            return self._read_local(path, mark, size=size)
        headers = _ask_if_changed(mark)

        def exchange() -> Body | None:
            whole = io.BytesIO()
            with self._open("GET", path, headers) as answer:
                if answer.status == 304 and mark is not None:
                    return Body(b"", mark)
                if not self._is_there(answer, path):
                    return None
                receive_body(answer, whole.write, size=size)
                return Body(whole.getvalue(), _read_mark(answer))

        return self._retry(exchange, path)

    def look(self, path: str) -> Mark | None:
        """By what a file is known, without reading it."""
        self._require_time(path)
        if self.local is not None:
            with _absent_is_none():
                return _mark_of(os.stat(self.local / path))
            return None

        def exchange() -> Mark | None:
            with self._open("HEAD", path, {}) as answer:
                return _read_mark(answer) if self._is_there(answer, path) else None

        return self._retry(exchange, path)

    def hash(
        self, path: str, *, size: int | None = None, on_read: Callable[[int], None] | None = None
    ) -> Digest | None:
        """The digest of a file of any size; of at most ``size`` bytes and one more, where that is given."""
        self._require_time(path)
        if self.local is not None:
            return self._hash_local(path, on_read)

        def exchange() -> Digest | None:
            with self._open("GET", path, {}) as answer:
                if not self._is_there(answer, path):
                    return None
                announced = answer.length
                read, sha256 = hash_stream(answer.readinto, size=size, on_read=on_read)
                if announced is not None and read != announced and (size is None or read <= size):
                    raise http.client.HTTPException(f"it ended after {read} of {announced} bytes")
                return Digest(read, sha256, _read_mark(answer))

        return self._retry(exchange, path)

    def list_directory(self, path: str) -> set[str] | None:
        """The names in a directory, those of directories with a slash; ``None`` if it is not shown."""
        if self.local is not None:
            with _absent_is_none(), os.scandir(self.local / path) as entries:
                return {f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries}
            return None
        body = self.read(f"{path.rstrip('/')}/" if path else "")
        if body is None or not _LISTING.search(body.data[:4096]):
            return None
        return _read_listing(body.data.decode("utf-8", "replace"))

    def are_same(self, one: str, other: str) -> bool | None:
        """Whether two names are of the same file, as far as that is known without reading it."""
        if self.local is not None:
            with contextlib.suppress(OSError):
                return os.path.samefile(self.local / one, self.local / other)
            return None
        first, second = self.look(one), self.look(other)
        return first == second if first is not None and first.tells else None

    def _read_local(self, path: str, mark: Mark | None, *, size: int) -> Body | None:
        where = self._find(path)
        with _absent_is_none(), self._name_failures(path):
            with open(open_regular(where, os.O_RDONLY), "rb") as stream:
                now = _mark_of(os.fstat(stream.fileno()))
                if mark is not None and now == mark:
                    return Body(b"", mark)
                data = stream.read(size + 1)
            if len(data) > size:
                raise OSError(f"it has more than {size} bytes")
            return Body(data, now)
        return None

    def _hash_local(self, path: str, on_read: Callable[[int], None] | None) -> Digest | None:
        where = self._find(path)
        with _absent_is_none(), self._name_failures(path):
            with open(open_regular(where, os.O_RDONLY), "rb", buffering=0) as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
                mark = _mark_of(os.fstat(stream.fileno()))
                digest, read, buffer = hashlib.sha256(), 0, memoryview(bytearray(BUFFER))
                while got := stream.readinto(buffer):
                    self._require_time(path)
                    digest.update(buffer[:got])
                    read += got
                    if on_read is not None:
                        on_read(read)
            return Digest(read, digest.hexdigest(), mark)
        return None

    def _require_time(self, path: str) -> None:
        if self._ends is not None and time.monotonic() >= self._ends:
            raise LateError("read", self.address(path), "there was no time left", do_next=DO_NEXT)

    def _find(self, path: str) -> Path:
        return (self.local or Path()) / path

    @contextlib.contextmanager
    def _open(self, method: str, path: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        left = self._timeout if self._ends is None else min(self._timeout, self._ends - time.monotonic())
        limit = Limit(max(left, 0.001), self._idle_timeout)
        fetcher = self._fetcher or Fetcher()
        with fetcher.open(method, f"{self.url}/{quote(path)}", limit, headers=headers) as answer:
            self._note_clock(answer)
            yield answer

    def _note_clock(self, answer: http.client.HTTPResponse) -> None:
        """Servers say what time it is; a cache on the way says how old its copy is."""
        said = answer.headers.get("Date")
        if self.skew is None and said is not None:
            with contextlib.suppress(ValueError, OverflowError):
                age = answer.headers.get("Age", "0")
                at = email.utils.parsedate_to_datetime(said).timestamp() + (int(age) if age.isdecimal() else 0)
                self.skew = at - self.clock()

    def _is_there(self, answer: http.client.HTTPResponse, path: str) -> bool:
        if answer.status in ABSENT or (answer.status == 403 and path.endswith("/")):
            return False
        if answer.status != 200:
            raise http.client.HTTPException(f"it answers {answer.status} {answer.reason}")
        return True

    def _retry(self, exchange: Callable[[], Result], path: str) -> Result:
        causes: list[str] = []
        for left in reversed(range(TRIES)):
            try:
                return exchange()
            except FAILURES as error:
                self._require_time(path)
                causes.append(explain_failure(error))
                if not left or isinstance(error, (TimeoutError, ssl.SSLCertVerificationError)):
                    came_back = "; then ".join(dict.fromkeys(causes))
                    raise UnreadableError("read", self.address(path), came_back, do_next=DO_NEXT) from error
                time.sleep(PAUSE)
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _name_failures(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            came_back = error.strerror or str(error)
            raise UnreadableError("read", self.address(path), came_back, do_next=DO_NEXT) from error


def hash_stream(
    read_into: Callable[[memoryview], int | None],
    *,
    size: int | None = None,
    on_read: Callable[[int], None] | None = None,
) -> tuple[int, str]:
    """How much comes, and its SHA-256; what comes is received while what came before is hashed.

    It ends as soon as more than ``size`` bytes came.
    """
    digest, total = hashlib.sha256(), 0
    empty: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    filled: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
    for _each in range(BUFFERS):
        empty.put(bytearray(BUFFER))

    def hash_filled() -> None:
        while (part := filled.get()) is not None:
            digest.update(memoryview(part[0])[: part[1]])
            empty.put(part[0])

    hasher = threading.Thread(target=hash_filled, daemon=True)
    hasher.start()
    try:
        while size is None or total <= size:
            buffer = empty.get()
            got = _fill(read_into, memoryview(buffer))
            if not got:
                break
            total += got
            filled.put((buffer, got))
            if on_read is not None:
                on_read(total)
    finally:
        filled.put(None)
        hasher.join()
    return total, digest.hexdigest()


def _fill(read_into: Callable[[memoryview], int | None], buffer: memoryview) -> int:
    """How many bytes were received into a buffer: a socket gives them in small parts."""
    at = 0
    while at < len(buffer) and (got := read_into(buffer[at:])):
        at += got
    return at


def _split(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            return ("file", parts.path) if parts.netloc in {"", "localhost"} and parts.path else None
        return (parts.scheme, parts.path) if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:
        return None


def _make_trust(ca_path: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise SlipwayError(
            "use the certificates in", str(ca_path), str(error), do_next="Give a file of certificates in PEM."
        ) from error


def _mark_of(status: os.stat_result) -> Mark:
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError
    return Mark(status.st_size, f"{status.st_dev:x}-{status.st_ino:x}-{status.st_ctime_ns:x}", str(status.st_mtime_ns))


def _read_mark(answer: http.client.HTTPResponse) -> Mark:
    length = answer.headers.get("Content-Length", "")
    return Mark(
        int(length) if length.isdecimal() else None,
        answer.headers.get("ETag", ""),
        answer.headers.get("Last-Modified", ""),
    )


def _ask_if_changed(mark: Mark | None) -> dict[str, str]:
    if mark is None:
        return {}
    if mark.tag:
        return {"If-None-Match": mark.tag}
    return {"If-Modified-Since": mark.modified} if mark.modified else {}


@contextlib.contextmanager
def _absent_is_none() -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield


class _Names(HTMLParser):
    """The names that a server's own listing of a directory leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") if tag == "a" else None
        if target and not target.startswith(("?", "/", "#", "..")) and "://" not in target:
            name = unquote(target.removeprefix("./"))
            if "/" not in name.rstrip("/") and len(self.names) < MOST_ENTRIES:
                self.names.add(name)


def _read_listing(text: str) -> set[str]:
    parser = _Names()
    parser.feed(text)
    return parser.names
