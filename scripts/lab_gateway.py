"""What hosts without a way out may fetch: Debian packages from the machine's mirror, and wheels.

The hosts ask for the mirror by its own name, which their name server answers with this machine's address on the bridge;
nothing inside knows of a proxy, so that chroots and sandboxes inside the hosts get their packages in the same way.
Only the named mirrors are passed on. Packages, whose content never changes, are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ansible_collections.slipway.release.plugins.module_utils.slipway.files import name_temporary

PASSED_TO_MIRROR = ("Accept", "Cache-Control", "If-Modified-Since", "If-Range", "Range", "User-Agent")
PASSED_TO_HOST = ("Content-Range", "Content-Type", "ETag", "Last-Modified")
NEVER_CHANGE = ("/pool/", "/by-hash/")
TIMEOUT = 60
CHUNK = 1 << 16


class Gateway(SimpleHTTPRequestHandler):
    """Answers by the name that the host asked for: one of the mirrors, or files of the lab's own."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def __init__(self, *args: Any, upstreams: dict[str, str], packages: Path, directory: str) -> None:
        self.upstreams, self.packages = upstreams, packages
        super().__init__(*args, directory=directory)

    def do_GET(self) -> None:
        """Answer with the content."""
        asked = urlsplit(self.path)
        upstream = self.upstreams.get(asked.hostname or (self.headers.get("Host") or "").partition(":")[0])
        if upstream is None:
            super().do_GET() if self.command == "GET" else super().do_HEAD()
        elif any(part in asked.path for part in NEVER_CHANGE) and self.command == "GET":
            self._reply_kept(upstream + asked.path)
        else:
            self._pass_on(
                upstream + asked.path, {name: self.headers[name] for name in self._select_headers(PASSED_TO_MIRROR)}
            )

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def _select_headers(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.headers]

    def _reply_kept(self, url: str) -> None:
        kept = self.packages / hashlib.sha256(url.encode()).hexdigest()
        if kept.exists():
            with kept.open("rb") as stream:
                self._reply(HTTPStatus.OK, {"Content-Length": str(kept.stat().st_size)}, stream)
            return
        temporary = name_temporary(kept)
        try:
            if self._pass_on(url, {}, keep=temporary):
                temporary.replace(kept)
        finally:
            temporary.unlink(missing_ok=True)

    def _pass_on(self, url: str, headers: dict[str, str], keep: Path | None = None) -> bool:
        """Pass the answer of the mirror on; whether it is all of what was asked for."""
        request = urllib.request.Request(url, headers=headers, method=self.command)  # noqa: S310 - of the mirrors given
        with ExitStack() as stack:
            try:
                answer = stack.enter_context(urllib.request.urlopen(request, timeout=TIMEOUT))  # noqa: S310
            except urllib.error.HTTPError as error:
                answer = stack.enter_context(error)
            except OSError as error:
                self.send_error(HTTPStatus.BAD_GATEWAY, f"The mirror does not answer: {error}")
                return False
            length = answer.headers.get("Content-Length")
            passed = {name: answer.headers[name] for name in PASSED_TO_HOST if name in answer.headers}
            if length is None:
                self.close_connection = True
                passed["Connection"] = "close"
            else:
                passed["Content-Length"] = length
            copy = stack.enter_context(keep.open("wb")) if keep is not None else None
            size = self._reply(answer.status, passed, answer, copy)
            if self.command == "GET" and length is not None and size != int(length) and answer.status != 304:
                self.close_connection = True
                return False
            return bool(answer.status == HTTPStatus.OK and length is not None)

    def _reply(self, status: int, headers: dict[str, str], body: IO[bytes], copy: IO[bytes] | None = None) -> int:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        size = 0
        while self.command == "GET" and (data := body.read(CHUNK)):
            size += len(data)
            self.wfile.write(data)
            if copy is not None:
                copy.write(data)
        return size


def main() -> None:
    """Serve until the end of the lab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="this machine's address in the lab")
    parser.add_argument("--files", required=True, type=Path, help="what is served under that address")
    parser.add_argument("--packages", required=True, type=Path, help="where packages are kept")
    parser.add_argument(
        "--upstream", action="append", default=[], metavar="NAME=URL", help="a mirror that is passed on"
    )
    given = parser.parse_args()
    given.packages.mkdir(parents=True, exist_ok=True)
    upstreams = dict(pair.split("=", 1) for pair in given.upstream)
    handler = partial(Gateway, upstreams=upstreams, packages=given.packages, directory=str(given.files))
    with ThreadingHTTPServer((given.listen, 80), handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
