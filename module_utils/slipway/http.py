# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP within bounds: one client for the services of a site, and for addresses that the world reads.

A socket's timeout bounds one silence. A server that drips a byte now and then - of the TLS handshake, of the status
line, of endless headers, of the size of a chunk - would still be waited for without end. So every wait, from the first
connection to the last byte, has what is left of the whole exchange's time.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from .errors import SlipwayError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Result = TypeVar("Result")

CHUNK = 1 << 18
#: No answer that is kept in memory is larger.
MAX_BODY = 64 << 20
#: What may pass by itself: the service restarts, or its queue of connections is full.
TRIES = 3
PAUSE = 0.5
#: More redirects than anybody means.
MOST_HOPS = 6
MOVED = (301, 302, 303, 307, 308)
#: What goes wrong on the way to a whole answer; :func:`explain_failure` puts it into words.
FAILURES = (OSError, http.client.HTTPException, UnicodeError)
#: A stale answer of a cache on the way is no look at the address itself.
HEADERS = [("User-Agent", "slipway"), ("Cache-Control", "no-cache"), ("Accept-Encoding", "identity")]


@dataclass(frozen=True)
class Limit:
    """``seconds`` for a whole exchange that begins now, and ``silence`` for each wait in it."""

    seconds: float
    silence: float | None = None
    ends: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", time.monotonic() + self.seconds)

    def left(self) -> float:
        """How long the next wait may take."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise self.make_timeout()
        return left if self.silence is None else min(left, self.silence)

    def make_timeout(self) -> TimeoutError:
        """The failure for a wait that took too long."""
        if self.silence is not None and time.monotonic() < self.ends:
            return TimeoutError(f"timed out, nothing came for {self.silence:g} s")
        return TimeoutError(f"no whole answer within {self.seconds:g} s")


class NoAnswerError(SlipwayError):
    """A service did not answer, as far as is known: it may have done what it was asked."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    reason: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as one line of at most 300 characters, for messages."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:300]


@dataclass(frozen=True)
class Exchange:
    """A whole answer as it came, with what a client library needs of it."""

    response: http.client.HTTPResponse
    body: bytes


class Service:
    """An HTTP service of a site at ``url``; with ``unix_socket`` it is reached through that file instead.

    Proxies are not used, since it belongs to the site; a redirect is a failure that names its target. ``headers`` go
    with every request, and may be secret.
    """

    def __init__(
        self,
        url: str,
        *,
        unix_socket: str | None = None,
        headers: Mapping[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        port = None
        with contextlib.suppress(ValueError):
            port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or not parts.hostname or port is None or parts.query:
            raise SlipwayError(
                "use the address",
                repr(url),
                "it is not an address of an HTTP service",
                do_next="Give http://HOST:PORT.",
            )
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._unix_socket = unix_socket
        self._headers = dict(headers or {})
        self._trust = trust

    def exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Exchange:
        """One exchange, once, for a client library: also a redirect is an answer. Raises one of :data:`FAILURES`."""
        connection = self._make_connection(Limit(timeout))
        try:
            connection.request(method, self._base + path, body=body, headers=dict(headers))
            response, whole = connection.getresponse(), io.BytesIO()
            receive_body(response, whole.write, size=MAX_BODY)
            return Exchange(response, whole.getvalue())
        finally:
            connection.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        attempt: str,
        body: bytes | None = None,
        content_type: str | None = None,
        content_range: str | None = None,
        timeout: float = 60.0,
        tries: int = TRIES,
    ) -> Answer:
        """One request and its whole answer, whatever its status, at most ``timeout`` seconds a try.

        A connection that fails is tried again: give ``tries=1`` for what must not be asked twice, and look afterwards
        whether it was done, since it may have been.
        """
        named = {"Content-Type": content_type, "Content-Range": content_range}
        headers = {name: value for name, value in named.items() if value}

        def exchange() -> Answer:
            whole = io.BytesIO()
            with self._open_exchange(method, path, body=body, headers=headers, timeout=timeout) as response:
                if method != "HEAD":
                    receive_body(response, whole.write, size=MAX_BODY)
                return Answer(response.status, response.reason, whole.getvalue())

        return self._retry(exchange, attempt=attempt, tries=tries)

    def fetch_size(self, path: str, *, attempt: str, timeout: float = 60.0) -> int | None:
        """The announced length of the content of ``path``; ``None`` if it is absent or not announced."""

        def exchange() -> int | None:
            with self._open_exchange("HEAD", path, body=None, headers={}, timeout=timeout) as response:
                length = response.headers.get("Content-Length", "")
                return int(length) if response.status == 200 and length.isdecimal() else None

        return self._retry(exchange, attempt=attempt)

    def download(self, path: str, target: IO[bytes], *, attempt: str, timeout: float = 3600.0) -> int | None:
        """Write the content of ``path`` to ``target``; return its length, or ``None`` if it is absent (404).

        A body that is shorter than announced, or of no announced length, is a failure. ``target`` is emptied
        before another try.
        """

        def exchange() -> int | None:
            target.seek(0)
            target.truncate()
            with self._open_exchange("GET", path, body=None, headers={}, timeout=timeout) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise http.client.HTTPException(f"it answers {response.status} {response.reason}")
                if response.length is None and not response.chunked:
                    raise http.client.HTTPException("it does not say how long the content is")
                return receive_body(response, target.write)

        return self._retry(exchange, attempt=attempt)

    def parse_object(self, attempt: str, answer: Answer) -> dict[str, Any]:
        """The JSON object in a successful answer; anything else is a failure."""
        value = None
        with contextlib.suppress(ValueError):
            value = json.loads(answer.body)
        if answer.status != 200 or not isinstance(value, dict):
            raise self.answer_error(attempt, answer)
        return value

    def answer_error(self, attempt: str, answer: Answer) -> SlipwayError:
        """The failure for an unexpected answer."""
        return SlipwayError(
            attempt,
            self.url,
            f"it answers {answer.status} {answer.reason}" + (f": {answer.text}" if answer.text else ""),
            do_next="Check that this is the right service, and its log.",
        )

    @contextlib.contextmanager
    def _open_exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._make_connection(Limit(timeout))
        try:
            connection.request(method, self._base + path, body=body, headers={**self._headers, **headers})
            response = connection.getresponse()
            if response.status in MOVED:
                raise http.client.HTTPException(f"it has moved to {response.headers.get('Location')}")
            yield response
        finally:
            connection.close()

    def _retry(self, exchange: Callable[[], Result], *, attempt: str, tries: int = TRIES) -> Result:
        """What ``exchange`` returns, after another try or two if the connection fails; not if time runs out.

        What failed first is told first: a service that died of it refuses every later connection.
        """
        causes: list[str] = []
        for left in reversed(range(tries)):
            try:
                return exchange()
            except FAILURES as error:
                causes.append(explain_failure(error))
                if not left or isinstance(error, TimeoutError):
                    do_next = "Check that the service runs and can be reached from here."
                    came_back = "; then ".join(dict.fromkeys(causes))
                    raise NoAnswerError(attempt, self.url, came_back, do_next=do_next) from error
                time.sleep(PAUSE)
        raise AssertionError("unreachable")

    def _make_connection(self, limit: Limit) -> http.client.HTTPConnection:
        if self._unix_socket is not None:
            return _UnixConnection(self._unix_socket, limit=limit)
        if self._secure:
            return _SecureConnection(self._host, self._port, limit=limit, context=self._trust)
        return _Connection(self._host, self._port, limit=limit)


@contextlib.contextmanager
def open_url(
    url: str, limit: Limit, *, proxies: bool = True, trust: ssl.SSLContext | None = None
) -> Iterator[IO[bytes]]:
    """What a ``file``, ``http`` or ``https`` address serves, also behind redirects, within ``limit``.

    With ``proxies`` those of the environment are used. Raises one of :data:`FAILURES`.
    """
    director = urllib.request.OpenerDirector()
    director.addheaders = HEADERS
    for handler in (
        urllib.request.ProxyHandler(None if proxies else {}),
        urllib.request.FileHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
        _LimitedHandler(limit, trust),
    ):
        director.add_handler(handler)
    try:
        with director.open(url, timeout=limit.left()) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        error.close()
        raise


def fetch_url(
    url: str, *, size: int, timeout: float, proxies: bool = True, trust: ssl.SSLContext | None = None
) -> bytes:
    """What an address serves, if that has at most ``size`` bytes; raises one of :data:`FAILURES`."""
    whole = io.BytesIO()
    with open_url(url, Limit(timeout), proxies=proxies, trust=trust) as answer:
        receive_body(answer, whole.write, size=size)
    return whole.getvalue()


class Fetcher:
    """Reads ``http`` and ``https`` addresses over connections that it keeps, one for each thread and server.

    Redirects are followed, but none from ``https`` to anything else; proxies of the environment are used.
    """

    def __init__(self, *, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust or ssl.create_default_context()
        self._kept = threading.local()
        self._proxies = urllib.request.getproxies()

    @contextlib.contextmanager
    def open(
        self, method: str, url: str, limit: Limit, *, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer of an address, whatever its status is. Raises one of :data:`FAILURES`."""
        for _hop in range(MOST_HOPS):
            connection, response = self._ask(method, url, limit, dict(headers or {}))
            target = response.headers.get("Location")
            if response.status not in MOVED or target is None:
                break
            connection.close()  # what comes with a redirect may have any size
            url = _follow(url, target)
        else:
            raise http.client.HTTPException(f"it moves on and on, to {url} at last")
        try:
            yield response
        finally:
            if not response.isclosed():  # what was not read would be taken for the next answer
                response.close()
                connection.close()

    def _ask(
        self, method: str, url: str, limit: Limit, headers: Mapping[str, str]
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        proxy = self._find_proxy(parts.scheme, parts.netloc)
        kept: dict[str, _Connection] = self._kept.__dict__
        connection = kept.get(key)
        reused = connection is not None and connection.sock is not None
        if connection is None:
            connection = kept[key] = self._connect(parts, proxy, limit)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        target = url if proxy is not None and parts.scheme == "http" else path
        connection.set_limit(limit)
        try:
            connection.request(method, target, headers={**dict(HEADERS), **headers})
            return connection, connection.getresponse()
        except (http.client.BadStatusLine, ConnectionError):
            connection.close()
            if not reused:
                raise
            return self._ask(method, url, limit, headers)  # the server had closed it meanwhile
        except BaseException:
            connection.close()
            raise

    def _find_proxy(self, scheme: str, host: str) -> str | None:
        found = self._proxies.get(scheme)
        if found is None or urllib.request.proxy_bypass(host.rpartition("@")[2]):
            return None
        return found if "//" in found else f"//{found}"

    def _connect(self, parts: SplitResult, proxy: str | None, limit: Limit) -> _Connection:
        secure = parts.scheme == "https"
        if not parts.hostname:
            raise http.client.HTTPException(f"{parts.geturl()!r} names no host")
        there = parts if proxy is None else urlsplit(proxy)
        host, port = there.hostname or "", there.port or (443 if secure and proxy is None else 80)
        if not secure:
            return _Connection(host, port, limit=limit)
        connection = _SecureConnection(host, port, limit=limit, context=self._trust)
        if proxy is not None:
            connection.set_tunnel(parts.hostname, parts.port or 443)
        return connection


def _follow(url: str, target: str) -> str:
    """The address that a redirect leads to, if it is one to be followed."""
    moved = urljoin(url, target)
    scheme, before = urlsplit(moved).scheme, urlsplit(url).scheme
    if scheme not in {"http", "https"} or (before == "https" and scheme != "https"):
        raise http.client.HTTPException(f"it has moved to {moved}, which is not followed from {before}")
    return moved


def receive_body(answer: Any, take: Callable[[bytes], object], *, size: int | None = None) -> int:
    """Pass the body of an answer to ``take``; it must be complete and have at most ``size`` bytes."""
    announced = getattr(answer, "length", None)
    received = 0
    while data := answer.read(CHUNK):
        received += len(data)
        if size is not None and received > size:
            raise http.client.HTTPException(f"the answer has more than {_format_size(size)}")
        take(data)
    if announced is not None and received != announced:
        raise http.client.HTTPException(f"it ended after {received} of {announced} bytes")
    return received


def explain_failure(error: Exception) -> str:
    """Why there was no whole answer, in words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return explain_failure(error.reason)
    return getattr(error, "strerror", None) or str(getattr(error, "reason", error)) or type(error).__name__


def _format_size(size: int) -> str:
    return f"{size >> 20} MiB" if size and size % (1 << 20) == 0 else f"{size} bytes"


class _Connection(http.client.HTTPConnection):
    """A connection with a limit to all that happens on it."""

    def __init__(self, host: str, port: int | None = None, *, limit: Limit, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._limit = limit
        self._create_connection = self._connect_socket

    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError:
            raise self._limit.make_timeout() from None
        self.sock = _LimitedSocket(self.sock, self._limit)  # it has what http.client uses of a socket

    def set_limit(self, limit: Limit) -> None:
        """What bounds the next exchange on it."""
        self._limit = limit
        if isinstance(self.sock, _LimitedSocket):
            self.sock.set_limit(limit)

    def _connect_socket(self, address: tuple[str, int], *_unused: object) -> socket.socket:
        """A socket that is connected to the first address of a host that answers."""
        failed: OSError = OSError(f"{address[0]} has no address")
        for family, kind, protocol, _name, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(self._limit.left())
                line.connect(where)
                line.settimeout(self._limit.left())  # of a TLS handshake, as a whole
                return line
            except OSError as error:
                line.close()
                failed = error
        raise failed

    def _tunnel(self) -> None:
        """Ask a proxy for a way through; the socket itself is needed for TLS then."""
        line = self.sock
        self.sock = _LimitedSocket(line, self._limit)
        super()._tunnel()  # type: ignore[misc]  # typeshed does not know it
        self.sock = line
        line.settimeout(self._limit.left())


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    """The same over TLS."""


class _UnixConnection(_Connection):
    """The same over a socket file."""

    def __init__(self, path: str, *, limit: Limit) -> None:
        super().__init__("localhost", limit=limit)
        self._path = path

    def connect(self) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock = _LimitedSocket(line, self._limit)
        line.settimeout(self._limit.left())
        line.connect(self._path)


class _LimitedSocket:
    """A connected socket that waits no longer than is left each time."""

    def __init__(self, line: socket.socket, limit: Limit) -> None:
        self._line = line
        self._limit = limit

    def set_limit(self, limit: Limit) -> None:
        self._limit = limit

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._line.settimeout(self._limit.left())
            try:
                rest = rest[self._line.send(rest) :]
            except TimeoutError:
                raise self._limit.make_timeout() from None

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_LimitedReader(self._line, self._limit))

    def close(self) -> None:
        self._line.close()


class _LimitedReader(io.RawIOBase):
    """What comes over a connected socket."""

    def __init__(self, line: socket.socket, limit: Limit) -> None:
        self._line = line
        self._raw = line.makefile("rb", buffering=0)
        self._limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._line.settimeout(self._limit.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            raise self._limit.make_timeout() from None

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedHandler(urllib.request.AbstractHTTPHandler):
    """Opens addresses by connections with a limit."""

    def __init__(self, limit: Limit, trust: ssl.SSLContext | None) -> None:
        super().__init__()
        self._limit = limit
        self._trust = trust

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, limit=self._limit), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        context = self._trust or ssl.create_default_context()
        return self.do_open(functools.partial(_SecureConnection, limit=self._limit, context=context), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without reading what comes with them, which may have any size."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> Any:
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
