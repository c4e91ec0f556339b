"""morph-cache-server's API 1.0 over a directory of artifacts, with its habits and, if wanted, its faults."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from peers.webserver import Exchange, Peer

REFUSED = b"<!DOCTYPE HTML><title>Error: 403 Forbidden</title>"


class MorphCachePeer(Peer):
    """Serves ``directory``. ``short`` artifacts end early, ``without_length`` ones do not say how long they are,
    ``silent`` ones are left out of answers to lists, of ``cut`` ones it has the first
    half; the next ``fails`` connections are dropped."""

    def __init__(self, directory: Path, *, refs: dict[tuple[str, str], str] | None = None) -> None:
        self.directory = directory
        self.refs = refs or {}
        self.short: Collection[str] = ()
        self.cut: Collection[str] = ()
        self.silent: Collection[str] = ()
        self.without_length: Collection[str] = ()
        self.fails = 0

    def handle(self, asked: Exchange) -> None:
        with self.lock:
            if self.fails:
                self.fails -= 1
                asked.handler.connection.close()
                return
        if asked.path == "/1.0/artifacts" and asked.method == "POST":
            self._list(asked)
        elif asked.path == "/1.0/artifacts":
            self._artifact(asked)
        elif asked.path == "/1.0/sha1s":
            self._sha1(asked)
        else:
            asked.answer(404, b"Not Found")

    def _list(self, asked: Exchange) -> None:
        try:
            names = json.loads(asked.body)
            found = {name: self._path(name).is_file() for name in names if name not in self.silent}
        except (ValueError, PermissionError):
            asked.answer(500)
            return
        asked.answer(200, json.dumps(found).encode(), headers={"Content-Type": "application/json"})

    def _artifact(self, asked: Exchange) -> None:
        name = asked.query.get("filename", "")
        try:
            path = self._path(name)
        except PermissionError:
            asked.answer(403, REFUSED)
            return
        if not name or ".." in name:
            asked.answer(403, REFUSED)
        elif not path.is_file():
            asked.answer(404)
        else:
            data = path.read_bytes()
            self._content(asked, name, data[: len(data) // 2] if name in self.cut else data)

    def _content(self, asked: Exchange, name: str, data: bytes) -> None:
        handler = asked.handler
        handler.send_response(200)
        if name not in self.without_length:
            handler.send_header("Content-Length", str(len(data)))
        handler.send_header("Content-Type", "text/html; charset=UTF-8")
        handler.send_header("Accept-Ranges", "bytes")
        handler.end_headers()
        if asked.method != "HEAD":
            handler.wfile.write(data[: len(data) // 2] if name in self.short else data)

    def _sha1(self, asked: Exchange) -> None:
        repo, ref = asked.query.get("repo", ""), asked.query.get("ref", "")
        commit = self.refs.get((repo, ref))
        if commit is None:
            asked.answer(404)
            return
        body = json.dumps({"repo": repo, "ref": ref, "sha1": commit, "tree": "0" * 40}).encode()
        asked.answer(200, body, headers={"Content-Type": "application/json"})

    def _path(self, name: str) -> Path:
        if name.startswith("/"):
            raise PermissionError
        return self.directory / name
