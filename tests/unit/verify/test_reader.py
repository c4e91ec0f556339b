# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is published is read as it comes, within bounds."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import (
    BUFFER,
    Reader,
    UnreadableError,
    hash_stream,
)
from aptclient import served

Answers = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def answering(answer: Answers) -> Iterator[str]:
    """The address of a server that answers each GET and HEAD in this way."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def send(handler: http.server.BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(data)


def test_a_directory_reads_the_same_from_a_disk_and_from_a_server(tmp_path: Path) -> None:
    (tmp_path / "of a release").mkdir()
    data = bytes(range(256)) * (BUFFER // 100)
    (tmp_path / "of a release/disk.gz").write_bytes(data)
    (tmp_path / "link").symlink_to("of a release")
    with served(tmp_path) as url:
        for reader in (Reader(url), Reader(f"file://{tmp_path}/")):
            digest = reader.hash("link/disk.gz")
            assert digest is not None
            assert (digest.size, digest.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert reader.list_directory("of a release") == {"disk.gz"}
            assert reader.list_directory("") == {"of a release/", "link/"}
            assert reader.list_directory("nowhere") is None
            assert (reader.read("nowhere"), reader.hash("nowhere"), reader.look("nowhere")) == (None, None, None)
            mark = reader.look("of a release/disk.gz")
            assert mark is not None
            assert mark.size == len(data)
            assert reader.are_same("link/disk.gz", "of a release/disk.gz")
            body = reader.read("link/disk.gz")
            assert body is not None
            assert body.data == data
            again = reader.read_changed("link/disk.gz", body.mark)
            assert again is not None
            assert again.data == b""
            with pytest.raises(UnreadableError, match="more than"):
                reader.read("link/disk.gz", size=10)
        skew = Reader(url).skew
        assert skew is None


def test_a_body_that_ends_early_is_no_answer() -> None:
    def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"only this", Content_Length="100")
        handler.close_connection = True

    with answering(cut) as url:
        for ask in (Reader(url).hash, Reader(url).read):
            with pytest.raises(UnreadableError, match="it ended after 9 of 100 bytes"):
                ask("disk")


def test_a_redirect_is_followed_and_one_without_end_is_not() -> None:
    def move(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path == "/there":
            send(handler, 200, b"found")
        else:
            send(handler, 302, b"x" * 100_000, Location="/there" if handler.path == "/here" else handler.path)

    with answering(move) as url:
        reader = Reader(url)
        body = reader.read("here")
        assert body is not None
        assert body.data == b"found"
        with pytest.raises(UnreadableError, match="it moves on and on"):
            reader.read("round")


def test_a_redirect_away_from_http_is_not_followed() -> None:
    with (
        answering(lambda handler: send(handler, 302, Location="file:///etc/passwd")) as url,
        pytest.raises(UnreadableError, match="which is not followed"),
    ):
        Reader(url).read("here")


def test_a_silent_server_is_given_up() -> None:
    quiet = threading.Event()
    with answering(lambda _handler: bool(quiet.wait(20)) and None) as url:
        try:
            with pytest.raises(UnreadableError, match="nothing came for 0.2 s"):
                Reader(url, idle_timeout=0.2).read("here")
        finally:
            quiet.set()


def test_a_connection_that_the_server_closed_meanwhile_is_made_again() -> None:
    def close(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"found")
        handler.close_connection = True  # and does not say so

    with answering(close) as url:
        reader = Reader(url)
        assert [body.data for _each in range(3) if (body := reader.read("here")) is not None] == [b"found"] * 3


def test_the_clock_of_a_server_is_known_once_it_answered() -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response_only(200)
        handler.send_header("Date", "Tue, 01 Jan 2030 00:00:00 GMT")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with answering(answer) as url:
        reader = Reader(url)
        reader.read("here")
        assert reader.skew is not None
        assert abs(reader.skew) > 86400


def test_more_than_was_asked_for_is_not_read_to_its_end() -> None:
    reads = []

    def endless(buffer: memoryview) -> int:
        reads.append(len(buffer))
        return len(buffer)

    size, _sha256 = hash_stream(endless, size=3 * BUFFER)
    assert size == 4 * BUFFER
    assert len(reads) == 4


@pytest.mark.parametrize("url", ["", "ftp://there/", "https:///path", "http://[", "file://other/host", "/a/path"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SlipwayError, match="it is no address"):
        Reader(url)
