"""A distbuild controller that says again, byte for byte, what a real one was recorded to say.

A :class:`Scene` is one build of a recording as its initiator saw it. A :class:`ReplayPeer` listens on a port and
plays one scene to each connection; the client's own id is put in the place of the recorded one.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

RECORDINGS = Path(__file__).resolve().parents[1] / "data" / "distbuild"
ENDS = ("build-finished", "build-failed", "build-cancelled")

Cut = Callable[[bytes], Iterable[bytes]]


@dataclass
class Scene:
    """What one initiator saw: ``script`` holds wire lines (bytes), and last perhaps "eof" or "reset"."""

    recording: str
    connection: int
    request: dict[str, Any]
    request_line: bytes
    script: list[bytes | str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def own_id(self) -> str:
        return str(self.request["id"])

    @property
    def name(self) -> str:
        return f"{self.recording}-{self.connection}-{self.own_id[:6]}"

    @property
    def end(self) -> str:
        """How it ended for the initiator: a message type, eof, reset, or silence."""
        if self.script and isinstance(self.script[-1], str):
            return self.script[-1]
        kind = self.messages[-1]["type"] if self.messages else ""
        return kind if kind in ENDS else "silence"

    def output(self) -> dict[str, bytes]:
        """What each step wrote, as bytes."""
        found: dict[str, bytes] = {}
        for message in self.messages:
            if message["type"] == "step-output" and message["id"] == self.own_id:
                piece = _bytes(message["stdout"]) + _bytes(message["stderr"])
                found[message["step_name"]] = found.get(message["step_name"], b"") + piece
        return found


def recording(name: str) -> list[dict[str, Any]]:
    """The records of one recording."""
    plain = RECORDINGS / f"{name}.jsonl"
    text = plain.read_bytes() if plain.exists() else gzip.decompress((RECORDINGS / f"{name}.jsonl.gz").read_bytes())
    return [json.loads(line) for line in text.decode().splitlines()]


def recordings() -> list[str]:
    return sorted(path.name.split(".")[0] for path in RECORDINGS.iterdir())


def scenes(name: str) -> list[Scene]:
    """Every build of a recording; some were asked for as only the recorded client did, and the controller died."""
    records = recording(name)
    return [
        scene
        for index, record in enumerate(records)
        if (scene := _scene(name, records, index, record)) is not None and scene.script
    ]


def all_scenes() -> list[Scene]:
    return [scene for name in recordings() if name != "cache-server" for scene in scenes(name)]


def scene(name: str, number: int = 0) -> Scene:
    return scenes(name)[number]


def _scene(name: str, records: Sequence[dict[str, Any]], index: int, record: dict[str, Any]) -> Scene | None:
    request = record.get("decoded")
    if record.get("from") != "initiator" or not isinstance(request, dict) or request.get("type") != "build-request":
        return None
    if not isinstance(request.get("id"), str):
        return None
    if any(_open_at(records, index, record["conn"])):
        return None  # another build of the same connection is on its way
    found = Scene(name, record["conn"], request, _wire(record["line"]))
    for later in records[index + 1 :]:
        if later.get("conn") != record["conn"]:
            continue
        if "event" in later:
            if later["from"] == "controller" and later["event"] in ("eof", "reset"):
                found.script.append(later["event"])
            if later["event"] != "shutdown-write":
                break
        elif later["from"] == "controller":
            found.script.append(_wire(later["line"]))
            found.messages.append(later["decoded"])
            if later["decoded"]["type"] in ENDS and later["decoded"]["id"] in (request["id"], "000"):
                break
    return found


def _open_at(records: Sequence[dict[str, Any]], index: int, connection: int) -> set[str]:
    """The builds of a connection that have begun and not ended before record ``index``."""
    running: set[str] = set()
    for record in records[:index]:
        message = record.get("decoded")
        if record.get("conn") != connection or not isinstance(message, dict):
            continue
        if record["from"] == "initiator" and message.get("type") == "build-request":
            running.add(message.get("id", ""))
        elif message.get("type") in ENDS:
            running.discard(message["id"])
    return running


def _wire(line: str) -> bytes:
    return line.rstrip("\n").encode() + b"\n"


def _bytes(value: Any) -> bytes:
    return value["!!binary"].encode("latin-1") if isinstance(value, dict) else str(value).encode()


# How what is sent is cut.


def whole(data: bytes) -> list[bytes]:
    return [data]


def in_pieces(seed: int, longest: int = 3000) -> Cut:
    chance = random.Random(seed)  # noqa: S311  # repeatable, not secret

    def cut(data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            size = chance.choice((1, 2, 7, chance.randint(1, longest)))
            yield data[start : start + size]
            start += size

    return cut


def wire(message: dict[str, Any]) -> bytes:
    """A line as a controller writes it."""
    return json.dumps(yaml.safe_dump(message)).encode() + b"\n"


class ReplayPeer:
    """A controller on a free port of this machine; the nth connection that asks for a build is played the nth of
    ``scenes``, later ones the last.

    ``extra`` is sent before every line; ``pause`` seconds pass between pieces; with ``silent`` questions are not
    answered; ``stop_after`` lines of a scene are played and then the connection ends as ``stop`` says (silence,
    eof, reset, half-line).
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        *,
        cut: Cut = whole,
        pause: float = 0.0,
        extra: bytes = b"",
        silent: bool = False,
        stop_after: int | None = None,
        stop: str = "silence",
    ) -> None:
        self.scenes = list(scenes)
        self.cut, self.pause, self.extra, self.silent = cut, pause, extra, silent
        self.stop_after, self.stop = stop_after, stop
        self.received: list[dict[str, Any]] = []
        self.lines: list[bytes] = []
        self.status = "Building it"
        #: What it lists, instead of what runs, until another build is asked for.
        self.listed: list[str] | None = None
        self._played = 0
        #: The id and the entry in the list of each build.
        self._running: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._sending: dict[socket.socket, threading.Lock] = {}
        self.port = 0
        self._listen()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def _listen(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]

    def go_away(self) -> None:
        """Refuse connections, and forget what runs, as a controller that is started again has."""
        self._server.close()
        with contextlib.suppress(OSError):
            while True:  # an accept that waits keeps it open
                socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
        with self._lock:
            self._running.clear()

    def come_back(self) -> None:
        self._listen()
        self._start(self._accept)

    def __enter__(self) -> ReplayPeer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        with self._lock:
            return [message for message in self.received if message["type"] == kind]

    def _start(self, act: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=act, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self._sending[connection] = threading.Lock()
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for line in _lines(connection):
                message = yaml.safe_load(json.loads(line))
                with self._lock:
                    self.received.append(message)
                    self.lines.append(line)
                if message["type"] == "build-request":
                    with self._lock:
                        scene = self.scenes[min(self._played, len(self.scenes) - 1)]
                        self._played += 1
                        self.listed = self.listed if self._played == 1 else None
                    self._start(self._play, connection, scene, message)
                elif not self.silent:
                    self._answer(connection, message)

    def _play(self, connection: socket.socket, scene: Scene, request: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            for number, item in enumerate(scene.script):
                if number == self.stop_after:
                    self._stop(connection, item)
                    return
                if isinstance(item, str):
                    self._forget(_entry(connection, request))
                    _end(connection, item)
                    return
                if scene.messages[number]["type"] == "request-output":
                    continue  # the recorded client asked; what this one asks is answered when it does
                line = item.replace(scene.own_id.encode(), request["id"].encode())
                if b"graphing-started" in line:
                    with self._lock:
                        self._running.append((scene.messages[number]["id"], _entry(connection, request)))
                self._send(connection, self.extra + line)
            if scene.end in ENDS:
                self._forget(_entry(connection, request))

    def _forget(self, entry: str) -> None:
        with self._lock:
            self._running = [running for running in self._running if running[1] != entry]

    def _stop(self, connection: socket.socket, item: bytes | str) -> None:
        if self.stop == "half-line" and isinstance(item, bytes):
            with self._sending[connection]:
                _send_all(connection, item[: len(item) // 2])
                _end(connection, "eof")
        elif self.stop != "silence":
            _end(connection, self.stop)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        with self._sending[connection]:  # an answer never comes within a line
            for piece in self.cut(data):
                _send_all(connection, piece)
                if self.pause:
                    time.sleep(self.pause)

    def _answer(self, connection: socket.socket, message: dict[str, Any]) -> None:
        with self._lock:
            entry = next((text for name, text in self._running if name == message["id"]), None)
            entries = [f"Build request ID: {name}\n{text}" for name, text in self._running]
            if message["type"] == "build-cancel":
                self._running = [running for running in self._running if running != (message["id"], entry)]
        if message["type"] == "list-requests":
            shown = entries if self.listed is None else self.listed
            text = "\n\n".join([f"{len(shown)} distbuild requests(s) currently in progress", *shown])
        elif message["type"] == "build-cancel" and entry is not None:
            text = f"Cancelling build request with ID {message['id']}"
        elif message["type"] == "build-cancel":
            text = "Given build-request ID does not match any running build IDs."
        elif entry is None:
            text = (
                "Given build-request ID does not match any recent build IDs "
                "(the status information for this build may have expired)."
            )
        else:
            component = entry.rpartition("Component: ")[2]
            text = f"\nBuild request ID: {message['id']}\n  System build: {component}\n  Build status: {self.status}"
        with self._sending[connection]:
            _send_all(connection, wire({"type": "request-output", "message": text}))


def _send_all(connection: socket.socket, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        with contextlib.suppress(TimeoutError):
            rest = rest[connection.send(rest) :]


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """What the client sends; never blocked in the kernel for long, so that a reset is one at once."""
    connection.settimeout(0.05)
    rest = b""
    while True:
        try:
            data = connection.recv(65536)
        except TimeoutError:
            continue
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _entry(connection: socket.socket, request: dict[str, Any]) -> str:
    host, port = connection.getpeername()
    return (
        f"  Initiator: {host}:{port}\n  Repo: {request['repo']}\n  Ref: {request['ref']}\n"
        f"  Component: {request['morphology']}"
    )


def _end(connection: socket.socket, how: str) -> None:
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    else:
        connection.shutdown(socket.SHUT_WR)
