# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import http.server
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import channel
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import Artifact, read_artifacts
from publishing import content, put, run_module

LABEL = "baserock-26.47"
CONTENTS = {name: content(name, 300_000) for name in (f"{LABEL}-a.tar.gz", f"{LABEL}-b.img.gz", "SHA256SUMS")}
NAMES = sorted(CONTENTS)


class Web(http.server.ThreadingHTTPServer):
    """A web server that can be told to misbehave, by file name."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.behaviour: dict[str, Any] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/pub"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        name = Path(self.path).name
        self.server.asked.append(name)
        behaviour = self.server.behaviour.get(name)
        path = self.server.root / self.path.removeprefix("/pub/")
        if behaviour == 503 or not path.is_file():
            self.send_error(503 if behaviour == 503 else 404)
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if behaviour == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if behaviour == "cut":
            data = data[:1000]
        if behaviour == "drip":
            for byte in data[:200]:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        elif behaviour == "silent":
            time.sleep(20)
        else:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    put(tmp_path / LABEL, CONTENTS)
    with Web(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def files(tmp_path: Path) -> list[Artifact]:
    return read_artifacts(put(tmp_path / LABEL, CONTENTS), attempt="test")


def test_all_channels_serve_all_files(web: Web, files: list[Artifact], tmp_path: Path) -> None:
    verified = channel.verify_channels(
        [web.url, f"file://{tmp_path}/"], LABEL, files, progress=Progress(tmp_path / "log")
    )
    assert len(verified) == 6
    assert f"{web.url}/{LABEL}/SHA256SUMS" in verified
    assert "6/6" in (tmp_path / "log").read_text()
    assert len(channel.verify_channels([f"{web.url}/{LABEL}"], "", files)) == 3


def test_a_directory_with_a_space_is_a_channel_too(tmp_path: Path) -> None:
    listed = put(tmp_path / "my state" / LABEL, CONTENTS)
    assert (
        len(channel.verify_channels([f"file://{tmp_path}/my state"], LABEL, read_artifacts(listed, attempt="test")))
        == 3
    )


def test_everything_that_is_wrong_is_listed_at_once(web: Web, files: list[Artifact], tmp_path: Path) -> None:
    flipped = bytearray(CONTENTS[NAMES[1]])
    flipped[7] ^= 1
    (tmp_path / LABEL / NAMES[1]).write_bytes(flipped)
    (tmp_path / LABEL / NAMES[2]).unlink()
    with pytest.raises(SlipwayError, match="4 of 6 files are not served with the right bytes") as caught:
        channel.verify_channels([web.url, f"file://{tmp_path}"], LABEL, files)
    said = str(caught.value)
    assert f"{web.url}/{LABEL}/{NAMES[2]} answers 404" in said
    assert said.count(hashlib.sha256(flipped).hexdigest()) == 2
    assert said.count(hashlib.sha256(CONTENTS[NAMES[1]]).hexdigest()) == 2
    assert len(caught.value.findings) == 4


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("cut", "has sha256|cannot be read"),
        (503, "answers 503"),
        ("silent", "cannot be read: .*timed out"),
        ("drip", "no whole answer within 1 s"),
    ],
)
def test_a_server_that_misbehaves_is_named_soon(web: Web, files: list[Artifact], behaviour: Any, sentence: str) -> None:
    web.behaviour[NAMES[1]] = behaviour
    started = time.monotonic()
    with pytest.raises(SlipwayError, match=f"1 of 3 files(.|\n)*{NAMES[1]}.*({sentence})"):
        channel.verify_channels([web.url], LABEL, files, idle_timeout=0.5, fetch_timeout=1)
    assert time.monotonic() - started < 15


def test_a_channel_that_drips_every_file_is_given_up_as_a_whole(web: Web, tmp_path: Path) -> None:
    many = {f"{LABEL}-{number}": b"x" * 1000 for number in range(20)}
    web.behaviour = dict.fromkeys(many, "drip")
    files = read_artifacts(put(web.root / LABEL, many), attempt="test")
    with pytest.raises(SlipwayError, match="20 of 20 files") as caught:
        channel.verify_channels([web.url], LABEL, files, fetch_timeout=1)
    assert len(web.asked) == channel.AT_ONCE
    assert str(caught.value).count(" was not asked for, since ") == 20 - channel.AT_ONCE


def test_bytes_are_compared_as_they_are_stored(web: Web, files: list[Artifact]) -> None:
    web.behaviour[NAMES[1]] = "gzip"
    assert len(channel.verify_channels([web.url], LABEL, files)) == 3


def test_a_longer_file_is_not_read_to_its_end(web: Web, files: list[Artifact], tmp_path: Path) -> None:
    with open(tmp_path / LABEL / NAMES[1], "ab") as stream:
        stream.write(b"x" * 10_000_000)
    with pytest.raises(SlipwayError, match=f"{NAMES[1]} cannot be read: the answer has more than 300000 bytes"):
        channel.verify_channels([web.url], LABEL, files)


def test_a_lagging_channel_is_waited_for_and_right_files_are_fetched_once(
    web: Web, files: list[Artifact], tmp_path: Path
) -> None:
    late = tmp_path / LABEL / NAMES[1]
    late.rename(tmp_path / "late")

    def appear() -> None:
        while web.asked.count(NAMES[1]) < 2:
            time.sleep(0.02)
        (tmp_path / "late").rename(late)

    appearing = threading.Thread(target=appear, daemon=True)
    appearing.start()
    assert channel.verify_channels(
        [web.url], LABEL, files, timeout=20, interval=0.1, progress=Progress(tmp_path / "log")
    )
    appearing.join()
    assert web.asked.count(NAMES[0]) == 1
    assert web.asked.count(NAMES[1]) > 1
    assert "1 of 3 files are not served yet" in (tmp_path / "log").read_text()


def test_the_wait_ends(web: Web, files: list[Artifact]) -> None:
    web.behaviour[NAMES[1]] = 503
    started = time.monotonic()
    with pytest.raises(SlipwayError, match="1 of 3 files are not served with the right bytes within 1 s"):
        channel.verify_channels([web.url], LABEL, files, timeout=1, interval=0.2)
    assert time.monotonic() - started < 15


def test_a_server_that_is_down_is_one_finding_a_file(files: list[Artifact]) -> None:
    with pytest.raises(SlipwayError, match="cannot be read: .*refused"):
        channel.verify_channels(["http://127.0.0.1:1"], LABEL, files)


@pytest.mark.parametrize(
    ("channels", "fault"),
    [([], "there are none"), (["ftp://x"], "not addresses"), (["/x"], "not addr"), (["http://[::1"], "not addr")],
)
def test_bad_channels_are_refused(files: list[Artifact], channels: list[str], fault: str) -> None:
    with pytest.raises(SlipwayError, match=f"Could not verify the channels: .*{fault}"):
        channel.verify_channels(channels, LABEL, files)


OPENSSL = [
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"),
    *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
    *("-addext", "basicConstraints=critical,CA:TRUE"),
]


def test_https_trusts_what_it_is_told(tmp_path: Path, files: list[Artifact]) -> None:
    subprocess.run(
        [*OPENSSL, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        check=True,
        capture_output=True,
    )
    with Web(tmp_path) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = server.url.replace("http:", "https:")
        assert channel.verify_channels([url], LABEL, files, ca_path=str(tmp_path / "cert"))
        with pytest.raises(SlipwayError, match="cannot be read: .*certificate"):
            channel.verify_channels([url], LABEL, files)
        server.shutdown()


def test_the_module_verifies_and_fetches_nothing_that_is_not_made_yet(web: Web, files: list[Artifact]) -> None:
    listed = [file.as_dict() for file in files]
    arguments = {"channels": [web.url], "path": LABEL, "files": listed}
    for check in (False, True):
        answer = run_module("artifact_verify", arguments, check=check)
        assert (answer["changed"], len(answer["verified"])) == (False, 3)
    web.behaviour[NAMES[1]] = 503
    for check in (False, True):
        assert "answers 503" in run_module("artifact_verify", {**arguments, "timeout": 0}, check=check)["msg"]
    unknown = {**arguments, "files": [{"name": name} for name in NAMES]}
    web.asked.clear()
    assert run_module("artifact_verify", unknown, check=True)["verified"] == []
    assert web.asked == []
    assert "not a SHA-256" in run_module("artifact_verify", unknown)["msg"]
