# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.upload import SshHost, upload_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
from hypothesis import given
from hypothesis import strategies as st
from publishing import content, put, run_module, tree
from sshd import Sshd, sshd

CONTENTS = {f"baserock-26.47-{number}.tar.gz": content(str(number), 100_000) for number in range(4)}
NAMES = sorted(CONTENTS)

needs_ssh = pytest.mark.skipif(
    not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()), reason="needs Debian's openssh-server"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("ssh") / "sshd") as running:
        yield running


@pytest.fixture(params=["local", pytest.param("rsync", marks=needs_ssh)])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The module's options for one way of sending."""
    if request.param == "local":
        return {"method": "local"}
    running: Sshd = request.getfixturevalue("server")
    return {
        "method": "rsync",
        "host": running.host,
        "user": running.user,
        "port": running.port,
        "ssh_options": running.options,
    }


class Sender:
    """Uploads from a source directory to a directory whose name is not harmless."""

    def __init__(self, top: Path, way: dict[str, Any]) -> None:
        self.source, self.directory = top / "source", top / "private $(touch pwned) 'x" / "baserock-26.47"
        self.described = put(self.source, CONTENTS)
        self.files = read_artifacts(self.described, attempt="test")
        self.way = way
        self.host = None
        if way["method"] == "rsync":
            self.host = SshHost(way["host"], way["user"], way["port"], way["ssh_options"])

    def send(self, **options: Any) -> list[str]:
        return upload_files(self.source, self.files, directory=self.directory, host=self.host, **options)


@pytest.fixture
def sender(tmp_path: Path, way: dict[str, Any]) -> Sender:
    return Sender(tmp_path, way)


def test_files_arrive_whole_and_again_nothing_is_sent(sender: Sender) -> None:
    assert sender.send() == NAMES
    assert tree(sender.directory) == tree(sender.source)
    assert {path.stat().st_mode & 0o777 for path in sender.directory.iterdir()} == {0o644}
    before = {path.name: path.stat().st_ctime_ns for path in sender.directory.iterdir()}
    assert sender.send() == []
    assert {path.name: path.stat().st_ctime_ns for path in sender.directory.iterdir()} == before


def test_only_what_is_not_there_whole_is_sent(sender: Sender) -> None:
    sender.send()
    (sender.directory / NAMES[0]).unlink()
    (sender.directory / NAMES[1]).write_bytes(CONTENTS[NAMES[1]][:50_000])
    flipped = bytearray(CONTENTS[NAMES[2]])
    flipped[1000] ^= 1
    (sender.directory / NAMES[2]).write_bytes(flipped)
    assert sender.send() == NAMES[:3]
    assert tree(sender.directory) == tree(sender.source)


def test_check_mode_sends_nothing_and_says_what_it_would(sender: Sender, tmp_path: Path) -> None:
    before = tree(tmp_path)
    assert sender.send(check=True) == NAMES
    assert tree(tmp_path) == before
    sender.send()
    assert sender.send(check=True) == []
    (sender.directory / NAMES[0]).unlink()
    assert sender.send(check=True) == NAMES[:1]
    assert not (sender.directory / NAMES[0]).exists()


def test_a_source_that_changed_is_named_and_nothing_is_sent(sender: Sender) -> None:
    (sender.source / NAMES[0]).write_bytes(b"other")
    (sender.source / NAMES[1]).unlink()
    with pytest.raises(SlipwayError, match="it is not what was packaged") as caught:
        sender.send()
    assert f"{NAMES[0]} has sha256" in str(caught.value)
    assert f"{NAMES[1]} is missing" in str(caught.value)
    assert not sender.directory.exists()


def test_other_files_of_the_source_stay_where_they_are(sender: Sender) -> None:
    (sender.source / ".git").mkdir()
    (sender.source / "secret").write_text("x")
    sender.send()
    assert sorted(path.name for path in sender.directory.iterdir()) == NAMES


def test_progress_counts_the_files(sender: Sender, tmp_path: Path) -> None:
    sender.send(progress=Progress(tmp_path / "log"))
    assert "4/4 baserock-26.47-" in (tmp_path / "log").read_text().splitlines()[-1]


def test_the_module_sends_once(sender: Sender, tmp_path: Path) -> None:
    arguments = {
        "source": str(sender.source),
        "files": sender.described,
        "directory": str(sender.directory),
        **sender.way,
    }
    would = run_module("artifact_upload", arguments, check=True)
    assert (would["changed"], would["sent"]) == (True, NAMES)
    unknown = {**arguments, "source": str(tmp_path / "nowhere"), "files": [{"name": name} for name in NAMES]}
    assert run_module("artifact_upload", unknown, check=True)["sent"] == NAMES
    assert not sender.directory.exists()
    assert run_module("artifact_upload", arguments)["diff"]["after"].count("\n") == 4
    assert not run_module("artifact_upload", arguments)["changed"]
    if sender.host is not None:
        arguments.pop("host")
        assert "missing: host" in run_module("artifact_upload", arguments)["msg"]


@needs_ssh
def test_an_interrupted_rsync_is_resumed_and_completes(server: Sshd, tmp_path: Path) -> None:
    way = {
        "method": "rsync",
        "host": server.host,
        "user": server.user,
        "port": server.port,
        "ssh_options": server.options,
    }
    sender = Sender(tmp_path, way)
    sender.described = put(sender.source, {"big": content("big", 30_000_000)})
    sender.files = read_artifacts(sender.described, attempt="test")
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import *\n"
        "from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import upload\n"
        "from ansible_collections.slipway.release.plugins.module_utils.slipway.release import artifact\n"
        f"files = artifact.read_artifacts({sender.described!r}, attempt='test')\n"
        f"host = upload.SshHost({server.host!r}, {server.user!r}, {server.port}, {server.options!r})\n"
        f"source, directory = Path({str(sender.source)!r}), Path({str(sender.directory)!r})\n"
        "upload.upload_files(source, files, directory=directory, host=host)\n"
    )
    for pause in (0.5, 0.7, 0.9):
        process = subprocess.Popen([sys.executable, "-c", program])
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    sender.send()
    assert (sender.directory / "big").read_bytes() == (sender.source / "big").read_bytes()
    assert sender.send() == []


@needs_ssh
def test_one_large_file_shows_how_much_of_it_is_there(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SELDOM", 0.0)
    way = {"host": server.host, "user": server.user, "port": server.port, "ssh_options": server.options}
    sender = Sender(tmp_path, {"method": "rsync", **way})
    sender.described = put(sender.source, {"big": content("big", 30_000_000)})
    sender.files = read_artifacts(sender.described, attempt="test")
    sender.send(progress=Progress(tmp_path / "log"))
    steps = [step for line in (tmp_path / "log").read_text().splitlines() if (step := progress.parse_line(line))]
    *under_way, last = steps
    assert (last.done, last.done_bytes) == (1, 30_000_000)
    assert {step.text for step in under_way} == {f"sending to {server.host}"}
    assert 0 < under_way[0].done_bytes <= 30_000_000
    assert [step.done_bytes for step in steps] == sorted(step.done_bytes for step in steps)


@needs_ssh
def test_an_unknown_host_key_is_refused(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    options = [f"UserKnownHostsFile={tmp_path}/known", *server.options]
    way = {"method": "rsync", "host": server.host, "user": server.user, "port": server.port, "ssh_options": options}
    with pytest.raises(SlipwayError, match="Host key verification failed.*this machine's access"):
        Sender(tmp_path, way).send()
    assert (tmp_path / "known").read_text() == ""


@needs_ssh
def test_a_server_that_says_nothing_is_given_up_soon(server: Sshd, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        way = {"method": "rsync", "host": "127.0.0.1", "user": None, "port": port, "ssh_options": ["ConnectTimeout=1"]}
        started = time.monotonic()
        with pytest.raises(SlipwayError, match="Could not upload to 127.0.0.1:"):
            Sender(tmp_path, way).send()
        assert time.monotonic() - started < 15
        with pytest.raises(SlipwayError, match="ssh was ended after 0 s"):
            Sender(tmp_path, {**way, "ssh_options": ["ConnectTimeout=60"]}).send(timeout=0.3)


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        (SshHost("-oProxyCommand=touch pwned"), "the host '-oProxyCommand=touch pwned' is not a host name"),
        (SshHost("a b"), "is not a host name"),
        (SshHost("a;b"), "is not a host name"),
        (SshHost("a/b"), "is not a host name"),
        (SshHost(""), "is not a host name"),
        (SshHost("good", user="-x"), "the user '-x' is not a user name"),
        (SshHost("good", user="a@b"), "is not a user name"),
        (SshHost("good", port=70000), "the port 70000 is none"),
        (SshHost("good", options=["-oX"]), "'-oX' is not of the form Key=value"),
    ],
)
def test_hostile_settings_are_refused(tmp_path: Path, host: SshHost, fault: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        upload_files(tmp_path, [], directory=Path("/x"), host=host)
    assert fault in str(caught.value)


@pytest.mark.parametrize("host", ["download.example.org", "h", "10.0.0.1", "fe80::1", "fe80::1%eth0", "my_host"])
def test_ordinary_hosts_are_accepted(host: str) -> None:
    SshHost(host).check()


def test_addresses_are_written_in_the_form_of_rsync() -> None:
    assert SshHost("h", "u").format_target(Path("/d/e")) == "u@h:/d/e/"
    assert SshHost("fe80::1").format_target(Path("/d")) == "[fe80::1]:/d/"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_rsync_reads_every_ssh_option_as_one_word(text: str) -> None:
    """rsync's quotes without doubled quotes inside are those of a shell."""
    command = SshHost("h", options=[f"Key=v{text}"]).format_remote_shell()
    if "'" not in text:
        assert f"Key=v{text}" in shlex.split(command)
    assert f"'Key=v{text.replace(chr(39), 2 * chr(39))}'" in command


@pytest.mark.parametrize("limit", ["fast", "0", "1023", "-1K", "1.5M", "1T", "1K "])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, limit: str) -> None:
    files = read_artifacts(put(tmp_path / "source", {"a": b"a"}), attempt="test")
    with pytest.raises(SlipwayError, match="such as 500K or 2M"):
        upload_files(tmp_path / "source", files, directory=tmp_path / "there", limit=limit)
    assert not (tmp_path / "there").exists()


@needs_ssh
def test_an_upload_is_no_faster_than_its_limit(server: Sshd, tmp_path: Path) -> None:
    files = read_artifacts(put(tmp_path / "source", {"a": content("a", 600_000)}), attempt="test")
    host = SshHost(server.host, server.user, server.port, server.options)
    began = time.monotonic()
    upload_files(tmp_path / "source", files, directory=tmp_path / "there", host=host, limit="300K")
    assert time.monotonic() - began > 1
    assert (tmp_path / "there/a").stat().st_size == 600_000


def test_a_relative_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="it is not an absolute path"):
        upload_files(tmp_path, [], directory=Path("x"))
