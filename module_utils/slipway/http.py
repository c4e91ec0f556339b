# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small HTTP services of a site: one exchange at a time, each within a time of its own.

Proxies are not used, since these services belong to the site; a redirect is a failure that names its target.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TypeVar
from urllib.parse import urlsplit

from .errors import SlipwayError

Got = TypeVar("Got")

CHUNK = 1 << 18
#: No answer that is kept in memory is larger.
MAX_BODY = 64 << 20
#: What may pass by itself: the service restarts, or its queue of connections is full.
TRIES = 3
PAUSE = 0.5


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    reason: str
    body: bytes

    @property
    def text(self) -> str:
        """The body for people, one line of at most 300 characters."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:300]


class Service:
    """An HTTP service at ``url``; with ``unix_socket`` it is reached through that file instead."""

    def __init__(self, url: str, *, unix_socket: str | None = None) -> None:
        parts = urlsplit(url)
        port = None
        with contextlib.suppress(ValueError):
            port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or not parts.hostname or port is None or parts.query:
            raise SlipwayError(
                "use the address", repr(url), "it is no address of an HTTP service", do_next="Give http://HOST:PORT."
            )
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._unix_socket = unix_socket

    def ask(
        self,
        method: str,
        path: str,
        *,
        attempt: str,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """One request and its whole answer, whatever its status, at most ``timeout`` seconds a try.

        A connection that fails is tried again: call this only for what may be asked twice.
        """
        headers = {"Content-Type": content_type} if content_type else {}

        def exchange() -> Answer:
            whole = io.BytesIO()
            with self._exchange(method, path, body=body, headers=headers, timeout=timeout) as response:
                if method != "HEAD":
                    _receive(response, whole, limit=MAX_BODY)
                return Answer(response.status, response.reason, whole.getvalue())

        return self._tried(exchange, attempt=attempt, timeout=timeout)

    def size(self, path: str, *, attempt: str, timeout: float = 60.0) -> int | None:
        """How long the service says that the content of ``path`` is; ``None`` if it is absent or not said."""

        def exchange() -> int | None:
            with self._exchange("HEAD", path, body=None, headers={}, timeout=timeout) as response:
                length = response.headers.get("Content-Length", "")
                return int(length) if response.status == 200 and length.isdecimal() else None

        return self._tried(exchange, attempt=attempt, timeout=timeout)

    def download(self, path: str, target: IO[bytes], *, attempt: str, timeout: float = 3600.0) -> int | None:
        """Write the content of ``path`` to ``target``; return its length, or ``None`` if it is absent (404).

        A body that is shorter than announced, or of no announced length, is a failure. ``target`` is emptied
        before another try.
        """

        def exchange() -> int | None:
            target.seek(0)
            target.truncate()
            with self._exchange("GET", path, body=None, headers={}, timeout=timeout) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise http.client.HTTPException(f"it answers {response.status} {response.reason}")
                if response.length is None and not response.chunked:
                    raise http.client.HTTPException("it does not say how long the content is")
                return _receive(response, target)

        return self._tried(exchange, attempt=attempt, timeout=timeout)

    def refused(self, attempt: str, answer: Answer) -> SlipwayError:
        """The failure for an answer that was not hoped for."""
        return SlipwayError(
            attempt,
            self.url,
            f"it answers {answer.status} {answer.reason}" + (f": {answer.text}" if answer.text else ""),
            do_next="See that this is the right service, and its log.",
        )

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection(timeout)
        expired = threading.Event()
        connection.connect()
        line = connection.sock

        def cut() -> None:
            expired.set()
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        # Each read has a limit of its own, but a service that drips bytes would go on for ever.
        timer = threading.Timer(timeout, cut)
        timer.daemon = True
        timer.start()
        try:
            connection.request(method, self._base + path, body=body, headers=dict(headers))
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                raise http.client.HTTPException(f"it has moved to {response.headers.get('Location')}")
            yield response
            if expired.is_set():
                raise TimeoutError
        except (OSError, http.client.HTTPException) as error:
            if expired.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            connection.close()

    def _tried(self, exchange: Callable[[], Got], *, attempt: str, timeout: float) -> Got:
        """What ``exchange`` returns, after another try or two if the connection fails; not if time runs out."""
        for left in reversed(range(TRIES)):
            try:
                return exchange()
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                if not left or isinstance(error, TimeoutError):
                    raise self._failed(attempt, error, timeout) from error
                time.sleep(PAUSE)
        raise AssertionError("unreachable")

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._unix_socket is not None:
            return _UnixConnection(self._unix_socket, timeout=timeout)
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _failed(self, attempt: str, error: Exception, timeout: float) -> SlipwayError:
        if isinstance(error, TimeoutError):
            came_back = f"no whole answer within {timeout:g} s"
        else:
            came_back = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return SlipwayError(
            attempt, self.url, came_back, do_next="See that the service runs and can be reached from here."
        )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _receive(response: http.client.HTTPResponse, target: IO[bytes], *, limit: int | None = None) -> int:
    """Copy a body, and make sure that it is whole."""
    announced = response.length
    received = 0
    while data := response.read(CHUNK):
        target.write(data)
        received += len(data)
        if limit is not None and received > limit:
            raise http.client.HTTPException(f"the answer has more than {limit >> 20} MiB")
    if announced is not None and received != announced:
        raise http.client.HTTPException(f"it ended after {received} of {announced} bytes")
    return received
