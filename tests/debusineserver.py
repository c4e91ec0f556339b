# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A conversation with a server of debusine: recorded between a client and the real one, and replayed later.

``PYTHONPATH=collections python tests/debusineserver.py URL WORKSPACE TOKEN_FILE PACKAGE FILE [ENVIRONMENT]`` has a real
server build one of the packages in ``tests/data/debusine``, and leaves in FILE what was asked and answered, without the
token.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import Job
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.limits import Limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusine import Engine, Terms
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusineapi import Api, read_token
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusinetasks import DEFAULT_ENVIRONMENT
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import make_scratch

TOKEN = "a-token-that-is-known"  # noqa: S105  # it is none
DATA = Path(__file__).parent / "data/debusine"
JSON = "application/json"
HANDED_ON = ("Token", "X-Debusine-Scope", "Content-Type", "Content-Range", "Accept")


@dataclass
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    status: int
    body: bytes
    type: str = JSON
    sent: Any = None
    #: Bytes that are announced and do not come.
    missing: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As it is written down."""
        row = {"method": self.method, "path": self.path, "status": self.status, "type": self.type}
        if self.sent is not None:
            row["sent"] = self.sent
        try:
            row["json"] = json.loads(self.body)
        except ValueError:
            try:
                row["text"] = self.body.decode()
            except UnicodeDecodeError:
                row["base64"] = base64.b64encode(self.body).decode()
        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Exchange:
        """As it was written down."""
        if "json" in row:
            body = json.dumps(row["json"]).encode()
        else:
            body = row["text"].encode() if "text" in row else base64.b64decode(row["base64"])
        return cls(row["method"], row["path"], row["status"], body, row["type"], row.get("sent"))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def handle_any(self) -> None:
        """Answer a request."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent: Any = None
        if data and self.headers.get("Content-Type") == JSON:
            sent = json.loads(data)
        elif data:
            sent = {"range": self.headers.get("Content-Range"), "bytes": len(data)}
        answer: Exchange | None = self.server.answer(self, sent, data)  # type: ignore[attr-defined]
        if answer is None:  # as when the server dies meanwhile
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body) + answer.missing))
        self.end_headers()
        self.close_connection = answer.missing > 0
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815  # what http.server calls


Answering = Callable[[http.server.BaseHTTPRequestHandler, Any, bytes], "Exchange | None"]


@contextlib.contextmanager
def serve(answer: Answering) -> Iterator[str]:
    """The address of a server that answers like this, for the time of the block."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.answer = answer  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Recorder:
    """Passes requests on to the server at ``url``, and keeps them. What is asked again and answers the same is once."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: http.server.BaseHTTPRequestHandler, sent: Any, data: bytes) -> Exchange:
        """What the real server answers."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=300)
        headers = {name: value for name in HANDED_ON if (value := asked.headers.get(name)) is not None}
        with contextlib.closing(connection):
            connection.request(asked.command, asked.path, body=data or None, headers=headers)
            came = connection.getresponse()
            body, kind = came.read(), came.headers.get("Content-Type") or JSON
        made = Exchange(asked.command, asked.path, came.status, body, kind, sent)
        with self.lock:
            if made not in self.exchanges[-1:]:
                self.exchanges.append(made)
        return made

    def write(self, path: Path) -> None:
        """Write down what was said."""
        rows = [one.as_dict() for one in self.exchanges]
        path.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")


class Replay:
    """Answers as it was written down, for each address one after the other, and the last again and again.

    ``alter`` may change an answer, or take it away, as a server does that dies. What was asked is in ``asked``.
    """

    def __init__(self, *paths: Path, alter: Callable[[Exchange], Exchange | None] = lambda exchange: exchange) -> None:
        self.alter = alter
        self.asked: list[Exchange] = []
        self.lock = threading.Lock()
        self.answers: dict[tuple[str, str], list[Exchange]] = {}
        for path in paths:
            for row in json.loads(path.read_text(encoding="utf-8")):
                one = Exchange.from_dict(row)
                self.answers.setdefault((one.method, one.path), []).append(one)

    def answer(self, asked: http.server.BaseHTTPRequestHandler, sent: Any, _data: bytes) -> Exchange | None:
        """What was answered to that."""
        with self.lock:
            known = self.answers.get((asked.command, asked.path), [])
            self.asked.append(Exchange(asked.command, asked.path, 0, b"", "", sent))
            if asked.headers.get("Token") != TOKEN and not asked.path.endswith("/whoami/"):
                detail = {"title": "Error", "detail": "Authentication credentials were not provided."}
                return Exchange(asked.command, asked.path, 403, json.dumps(detail).encode())
            if not known:
                detail = {"title": "Error", "detail": f"Nothing was written down for {asked.command} {asked.path}."}
                return Exchange(asked.command, asked.path, 404, json.dumps(detail).encode())
            return self.alter(known.pop(0) if len(known) > 1 else known[0])

    def list_asked(self, method: str, pattern: str) -> list[Exchange]:
        """What was asked of that kind."""
        return [one for one in self.asked if one.method == method and re.search(pattern, one.path)]


def make_job(name: str, **more: Any) -> tuple[Job, list[Path]]:
    """A job for one of the packages that lie beside what was written down."""
    named = {"source": name, "version": "1.0", "dsc": f"{name}_1.0.dsc", "platform": "bookworm"}
    known = {**named, "architecture": "amd64", "chroot": "amd64", "limits": Limits(seconds=1800.0)}
    job = Job(**{**known, **more})
    return job, [DATA / f"{name}_1.0.dsc", DATA / f"{name}_1.0.tar.xz"]


def main(url: str, workspace: str, token: str, name: str, target: str, environment: str = DEFAULT_ENVIRONMENT) -> None:
    """Have debusine do a job, and write down what was said: once, by hand, against a real server."""
    recorder = Recorder(url)
    job, source = make_job(name)
    with serve(recorder.answer) as address, make_scratch("slipway-record-") as scratch:
        api = Api(address, read_token(Path(token)), workspace=workspace, say=print)
        terms = Terms(scratch / "memory", {job.platform: environment})
        with Engine(api, terms, versions=lambda _platform, _architecture: {}, say=print) as engine:
            watch = Watch(print, threading.Event())
            result = engine.do_job(Host("debusine", {"amd64": "amd64"}), job, source, scratch, watch)
        print(result, *sorted(path.name for path in scratch.iterdir()))
    recorder.write(Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
