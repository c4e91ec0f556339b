"""A small HTTP server for the peers: HTTP/1.0, one connection a request, as the services of a Trove."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Exchange:
    """A request, and what it is answered with."""

    handler: BaseHTTPRequestHandler
    method: str
    path: str
    query: dict[str, str]
    body: bytes

    def answer(self, status: int, body: bytes = b"", *, headers: dict[str, str] | None = None) -> None:
        self.handler.send_response(status)
        said = {"Content-Length": str(len(body)), "Content-Type": "text/html", **(headers or {})}
        for name, value in said.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.method != "HEAD":
            self.handler.wfile.write(body)


class Peer:
    """Answers requests with :meth:`handle` on a free port of this machine while in its ``with`` block."""

    def __enter__(self) -> Any:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                with peer.lock:
                    peer.requests.append((self.command, self.path))
                peer.handle(Exchange(self, self.command, unquote(parts.path), query, body))

            do_GET = do_HEAD = do_POST = do_any  # noqa: N815  # names that http.server calls

            def log_message(self, *_: Any) -> None:
                pass

        self.lock = threading.RLock()
        self.requests: list[tuple[str, str]] = []
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def handle(self, asked: Exchange) -> None:
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
