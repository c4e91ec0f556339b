"""Every exchange has an end, however little a server sends, and never more than it may."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import http
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

SECONDS = 0.6
#: A loaded machine is late, a server that drips never ends.
LATE = 10
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def serving(feed, *, reads=True):
    """The address of a server that sends, to everybody who connects, what ``feed`` yields."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(line):
            with line, contextlib.suppress(OSError):
                if reads:
                    line.recv(65536)
                for piece in feed():
                    line.sendall(piece)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def dripping(*begin, drop=b"x", pause=0.1):
    def feed():
        yield from begin
        for _unused in itertools.count():
            yield drop
            time.sleep(pause)

    return feed


DRIPS = {
    "nothing": lambda: iter([time.sleep(30) or b""]),
    "the status line": dripping(b"HTTP/1.1 200 "),
    "a header": dripping(HEAD + b"X-A: "),
    "headers": dripping(HEAD, drop=b"X-A: b\r\n"),
    "100 Continue": dripping(drop=b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01),
    "the body": dripping(HEAD + b"Content-Length: 100000\r\n\r\n"),
    "a body without an end": dripping(HEAD + b"\r\n"),
    "the size of a chunk": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"),
    "chunks": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", drop=b"1\r\nx\r\n"),
    "trailers": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", drop=b"X: y\r\n"),
    "redirects": dripping(b"HTTP/1.1 302 Found\r\nLocation: /", drop=b"again"),
    "what comes with a redirect": dripping(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"),
}


@contextlib.contextmanager
def soon():
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < LATE


@pytest.mark.parametrize("name", DRIPS)
def test_a_server_that_drips_is_given_up_by_who_reads_the_world(name):
    with serving(DRIPS[name]) as address, soon(), pytest.raises(http.FAILURES) as caught:
        http.fetch_url(f"http://{address}/", size=1 << 20, timeout=SECONDS, proxies=False)
    says = "infinite loop" if name.startswith("what comes") else f"no whole answer within {SECONDS} s"
    assert says in http.explain_failure(caught.value)


@pytest.mark.parametrize("name", DRIPS)
@pytest.mark.parametrize(("do", "arguments"), [("ask", ["GET", "/"]), ("download", ["/", io.BytesIO()])])
def test_a_server_that_drips_is_given_up_as_a_service(name, do, arguments):
    with serving(DRIPS[name]) as address, soon(), pytest.raises(SlipwayError) as caught:
        getattr(http.Service(f"http://{address}"), do)(*arguments, attempt="ask", timeout=SECONDS)
    moved, endless = name.startswith("what comes"), do == "download" and name == "a body without an end"
    says = "it has moved to /again" if moved else "how long the content is" if endless else "no whole answer within"
    assert says in str(caught.value)


@pytest.mark.parametrize("begin", [b"", b"\x16\x03\x03\x40\x00\x02"])
def test_a_tls_handshake_that_drips_is_given_up(begin):
    with serving(dripping(begin, drop=b"\x00")) as address, soon(), pytest.raises(http.FAILURES) as caught:
        http.fetch_url(f"https://{address}/", size=1, timeout=SECONDS, proxies=False)
    assert "no whole answer" in http.explain_failure(caught.value) or "SSL" in http.explain_failure(caught.value)


@pytest.mark.parametrize("drop", [b"x", b"X-A: b\r\n"])
def test_a_proxy_that_drips_is_given_up(monkeypatch, drop):
    with serving(dripping(HEAD, drop=drop)) as address, soon():
        monkeypatch.setenv("https_proxy", f"http://{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(http.FAILURES, match="no whole answer within"):
            http.fetch_url("https://example.org/", size=1, timeout=SECONDS)


def test_a_server_that_reads_nothing_is_given_up():
    with (
        serving(DRIPS["nothing"], reads=False) as address,
        soon(),
        pytest.raises(SlipwayError, match="no whole answer"),
    ):
        http.Service(f"http://{address}").ask("POST", "/", attempt="ask", body=bytes(64 << 20), timeout=SECONDS)


def test_one_silence_has_a_limit_of_its_own():
    feed = dripping(HEAD + b"Content-Length: 9\r\n\r\n", pause=30)
    with (
        serving(feed) as address,
        soon(),
        pytest.raises(TimeoutError, match=r"timed out, nothing came for 0\.3 s"),
        http.open_url(f"http://{address}/", http.Limit(60, 0.3), proxies=False) as answer,
    ):
        answer.read()


def test_a_service_that_cannot_be_connected_to_has_a_limit_too():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _unused in range(3):  # nobody accepts them, so that no other one is connected
            line = held.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(full.getsockname())
        with soon(), pytest.raises(SlipwayError, match="no whole answer within"):
            http.Service(f"http://127.0.0.1:{full.getsockname()[1]}").fetch_size("/", attempt="ask", timeout=SECONDS)


@pytest.mark.parametrize("head", [b"Content-Length: 9\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n9\r\n"])
def test_more_than_wanted_is_not_taken(head):
    feed = lambda: iter([HEAD + head + b"123456789"])  # noqa: E731
    with serving(feed) as address, pytest.raises(http.FAILURES, match="the answer has more than 8 bytes|Incomplete"):
        http.fetch_url(f"http://{address}/", size=8, timeout=LATE, proxies=False)


def test_what_comes_with_a_redirect_is_not_kept(tmp_path):
    there = tmp_path / "there"
    there.write_bytes(b"whole")
    sent = []

    def feed():
        if sent:
            yield HEAD + b"Content-Length: 5\r\n\r\nwhole"
            return
        sent.append(True)
        yield b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n"
        while True:
            yield bytes(1 << 16)

    with serving(feed) as address:
        assert http.fetch_url(f"http://{address}/", size=5, timeout=LATE, proxies=False) == b"whole"
    assert http.fetch_url(there.as_uri(), size=5, timeout=LATE) == b"whole"


@pytest.mark.parametrize("target", ["ftp://example.org/x", "file:///etc/passwd", "data:,x"])
def test_a_redirect_leads_to_no_other_kind_of_address(target):
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(lambda: iter([head])) as address, pytest.raises(http.FAILURES):
        http.fetch_url(f"http://{address}/", size=1 << 20, timeout=LATE, proxies=False)


def test_an_answer_that_ends_too_early_is_no_answer():
    feed = lambda: iter([HEAD + b"Content-Length: 9\r\n\r\n1234"])  # noqa: E731
    with serving(feed) as address, pytest.raises(http.FAILURES, match="it ended after 4 of 9 bytes"):
        http.fetch_url(f"http://{address}/", size=9, timeout=LATE, proxies=False)


def test_what_failed_first_is_told_when_the_service_died_of_it(tmp_path):
    """A body that was cut off is the fault; that nobody listens any more only follows from it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            line, _ = server.accept()
            server.close()
            with line:
                line.recv(65536)
                line.sendall(HEAD + b"Content-Length: 9\r\n\r\n1234")

        thread = threading.Thread(target=answer)
        thread.start()
        service = http.Service(f"http://127.0.0.1:{server.getsockname()[1]}")
        with (
            open(tmp_path / "target", "w+b") as target,
            pytest.raises(http.NoAnswerError, match=r"it ended after 4 of 9 bytes; then Connection refused\."),
        ):
            service.download("/x", target, attempt="fetch", timeout=LATE)
        thread.join()


def test_what_must_not_be_asked_twice_is_asked_once():
    asked = []
    feed = lambda: asked.append(1) or iter([b""])  # noqa: E731
    with serving(feed) as address, pytest.raises(http.NoAnswerError):
        http.Service(f"http://{address}").ask("POST", "/", attempt="ask", body=b"", timeout=LATE, tries=1)
    assert len(asked) == 1


def test_a_proxy_is_used_by_who_reads_the_world_only(monkeypatch):
    with serving(lambda: iter([HEAD + b"Content-Length: 5\r\n\r\nproxy"])) as address:
        monkeypatch.setenv("http_proxy", f"http://{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert http.fetch_url("http://nowhere.example/", size=5, timeout=LATE) == b"proxy"
        with pytest.raises(SlipwayError, match="ask http://127.0.0.1:1: .*refused"):
            http.Service("http://127.0.0.1:1").ask("GET", "/", attempt="ask", timeout=LATE)
