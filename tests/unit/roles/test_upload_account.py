# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guard of an upload account, behind a real sshd."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.upload import SshHost, upload_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
from hypothesis import given
from hypothesis import strategies as st
from publishing import content, put, tree
from sshd import Sshd, sshd

GUARD = Path(__file__).resolve().parents[3] / "roles/upload_account/files/upload_guard.py"
#: A client's remote shell that asks, in the server's place, for a file that the server does not ask for.
UNASKED = Path(__file__).resolve().parents[2] / "peers/unasked_rsync.py"
NAMES = ["baserock-1.2-a+b~c.gz", "manifest.json"]
GOOD = "rsync --server -pcRe.LsfxCIvu --log-format=X --timeout=60 --partial-dir .partial --mkpath . /p/x-1/"

needs_ssh = pytest.mark.skipif(
    not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()), reason="needs Debian's openssh-server"
)

_spec = importlib.util.spec_from_file_location("upload_guard", GUARD)
assert _spec is not None
assert _spec.loader is not None
guard: Any = importlib.util.module_from_spec(_spec)
sys.modules["upload_guard"] = guard  # where dataclasses look their module up
_spec.loader.exec_module(guard)


class Account:
    """A private directory, and an sshd whose one key may only upload to it."""

    def __init__(self, server: Sshd, keys: Path, top: Path, private: Path) -> None:
        self.server, self.keys, self.top, self.private = server, keys, top, private
        self.host = SshHost(server.host, server.user, server.port, server.options)
        self.take_basis("")

    def take_basis(self, basis: str | Path) -> None:
        """Have the guard know of a directory with similar files."""
        key = self.keys.read_text().split(" ssh-ed25519 ")[-1].removeprefix("ssh-ed25519 ").strip()
        command = f"/usr/bin/python3 -I {GUARD} {self.private} {basis}".rstrip()
        self.keys.write_text(f'restrict,command="{command}" ssh-ed25519 {key}\n')

    def send(self, contents: dict[str, bytes], label: str = "baserock-1.2", **options: Any) -> list[str]:
        source = self.top / f"source-{time.monotonic_ns()}"
        files = read_artifacts(put(source, contents), attempt="test")
        return upload_files(source, files, directory=self.private / label, host=self.host, **options)

    def ssh(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-p", str(self.server.port), "-l", self.server.user]
        for option in self.server.options:
            command += ["-o", option]
        return subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )

    def rsync(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["rsync", "--no-s", "--no-old-args", "--timeout=20", "--rsh", self.host.format_remote_shell(), *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def at(self, path: str) -> str:
        return f"{self.server.user}@{self.server.host}:{path}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    top = tmp_path_factory.mktemp("account")
    with sshd(top / "sshd") as running:
        yield running, top / "sshd/authorized_keys"


@pytest.fixture
def account(server: tuple[Sshd, Path], tmp_path: Path) -> Account:
    running, keys = server
    private = tmp_path / "private"
    private.mkdir()
    return Account(running, keys, tmp_path, private)


@needs_ssh
def test_an_upload_arrives_once_and_again_nothing_is_sent(account: Account) -> None:
    contents = {name: content(name, 100_000) for name in NAMES}
    assert account.send(contents, check=True) == NAMES
    assert tree(account.private) == {}
    assert account.send(contents) == NAMES
    assert {path.name: path.read_bytes() for path in (account.private / "baserock-1.2").iterdir()} == contents
    assert account.send(contents) == []
    assert account.send({**contents, "more": b"more"}) == ["more"]


@needs_ssh
def test_what_a_file_has_in_common_with_the_release_before_is_not_sent(account: Account, tmp_path: Path) -> None:
    public, old = tmp_path / "public", content("image", 3_000_000)
    put(public / "baserock-1.1", {"baserock-1.1-a.img": old, "same": b"same"})
    (public / "current").symlink_to("baserock-1.1")
    account.take_basis(public / "current")
    new = {"baserock-1.2-a.img": old[:1_000_000] + b"a fix" + old[1_000_000:], "same": b"same", "other": b"other"}
    put(tmp_path / "source", new)
    names = "".join(f"{name}\n" for name in new)
    (tmp_path / "names").write_text(names)
    words = ("--checksum", "--perms", "--mkpath", "--partial-dir=.partial", "--out-format=%b %n", "--bwlimit=50000")
    target = account.at(f"{account.private}/baserock-1.2/")
    done = account.rsync(*words, f"--files-from={tmp_path / 'names'}", f"{tmp_path / 'source'}/", target)
    assert done.returncode == 0, done.stderr
    sent = {line.partition(" ")[2]: int(line.partition(" ")[0]) for line in done.stdout.splitlines()}
    assert sent["baserock-1.2-a.img"] < 100_000
    there = {path.name: path for path in (account.private / "baserock-1.2").iterdir()}
    assert {name: path.read_bytes() for name, path in there.items()} == new
    assert {path.stat().st_nlink for path in there.values()} == {1}
    assert account.send(new) == []
    (public / "current").unlink()
    assert account.send(new, "baserock-1.3") == sorted(new)


@needs_ssh
def test_a_finished_file_is_not_replaced_and_the_uploader_hears_of_it(account: Account) -> None:
    account.send({NAMES[0]: b"right", NAMES[1]: b"right"})
    with pytest.raises(SlipwayError, match="does not let them be replaced") as caught:
        account.send({NAMES[0]: b"wrong", NAMES[1]: b"right", "new": b"new"})
    assert caught.value.findings == [NAMES[0]]
    assert (account.private / "baserock-1.2" / NAMES[0]).read_bytes() == b"right"
    assert (account.private / "baserock-1.2/new").read_bytes() == b"new"


@needs_ssh
def test_a_client_that_sends_what_it_was_not_asked_for_replaces_nothing(account: Account) -> None:
    account.send({"done": b"finished"})
    put(account.top / "source", {"done": b"REPLACED BY THE CLIENT", "new": b"new"})
    relay = [sys.executable, str(UNASKED), "0", *account.host.format_command()[:-4]]
    done = subprocess.run(
        ["rsync", "--protocol=29", "--no-s", "--no-old-args", "--timeout=20", "--rsh", shlex.join(relay), "-cpR",
         "done", "new", account.at(f"{account.private}/baserock-1.2/")],
        cwd=account.top / "source", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "is a directory" in done.stderr  # what the client sent for it met ours
    assert (account.private / "baserock-1.2/done").read_bytes() == b"finished"
    assert sorted(os.listdir(account.private / "baserock-1.2")) in (["done"], ["done", "new"])
    assert account.send({"done": b"finished", "more": b"more"}) == ["more"]


@needs_ssh
def test_permissions_are_the_servers(account: Account) -> None:
    put(account.top / "source", {"a": b"a", "b": b"b"})
    (account.top / "source/a").chmod(0o6777)
    (account.top / "source/b").chmod(0o600)
    assert account.rsync("-cpR", f"{account.top}/source/./a", f"{account.top}/source/./b",
                         account.at(f"{account.private}/x/")).returncode == 0  # fmt: skip
    assert {path.name: oct(path.stat().st_mode & 0o7777) for path in (account.private / "x").iterdir()} == {
        "a": "0o644",
        "b": "0o644",
    }


@needs_ssh
def test_of_a_session_that_was_killed_only_whole_files_stay(account: Account) -> None:
    account.send({"done": b"finished", "also": b"finished"})
    inside = account.private / "baserock-1.2"
    put(inside / ".arriving", {"whole": b"whole", "done": b"other", ".part.Xy12aB": b"half"})
    (inside / ".arriving/also").mkdir()
    (inside / ".arriving/link").symlink_to("/etc/passwd")
    put(account.top, {"outside": b"linked"})
    os.link(account.top / "outside", inside / ".arriving/linked")
    os.mkfifo(inside / ".arriving/pipe")
    os.mkfifo(inside / ".arriving/last")
    assert account.send({"last": b"last"}) == ["last"]
    assert {path.name: path.read_bytes() for path in inside.iterdir()} == {
        "done": b"finished", "also": b"finished", "whole": b"whole", "last": b"last",
    }  # fmt: skip


@needs_ssh
def test_what_arrives_below_a_release_is_not_kept(account: Account) -> None:
    put(account.top / "source/below", {"a": b"a"})
    account.rsync("-cR", f"{account.top}/source/./below/a", account.at(f"{account.private}/x/"))
    assert tree(account.private) == {"x": "/"}


@needs_ssh
def test_an_upload_that_was_cut_off_is_resumed(account: Account) -> None:
    data = content("big", 30_000_000)
    source = account.top / "big"
    described = put(source, {"big": data})
    host, arrived = account.host, account.private / "baserock-1.2"
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import *\n"
        "from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import upload\n"
        "from ansible_collections.slipway.release.plugins.module_utils.slipway.release import artifact\n"
        f"files = artifact.read_artifacts({described!r}, attempt='test')\n"
        f"host = upload.SshHost({host.host!r}, {host.user!r}, {host.port}, {host.options!r})\n"
        f"upload.upload_files(Path({str(source)!r}), files, directory=Path({str(arrived)!r}), host=host)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 0 for path in arrived.glob(".arriving/.big.*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert account.send({"big": data}) in (["big"], [])
    assert (arrived / "big").read_bytes() == data


@needs_ssh
def test_what_lies_in_the_partial_directory_is_only_a_beginning(account: Account) -> None:
    partial = account.private / "baserock-1.2/.partial"
    partial.mkdir(parents=True)
    (partial / NAMES[0]).write_bytes(b"x" * 50_000)
    data = content("whole", 100_000)
    assert account.send({NAMES[0]: data}) == NAMES[:1]
    assert (account.private / "baserock-1.2" / NAMES[0]).read_bytes() == data


@needs_ssh
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["id"],
        ["sh", "-c", "id"],
        ["/usr/lib/openssh/sftp-server"],
        ["internal-sftp"],
        ["scp", "-t", "."],
        ["rsync", "--server", "--daemon", "."],
        ["-s", "sftp"],
        ["-tt"],
    ],
    ids=" ".join,
)
def test_there_is_no_shell(account: Account, words: list[str]) -> None:
    options = [word for word in words if word == "-tt"]
    done = account.ssh(*options, account.server.host, *[word for word in words if word not in options])
    assert done.returncode != 0
    assert any(
        said in done.stderr for said in ("Refused: ", "PTY allocation request failed", "subsystem request failed")
    )
    assert done.stdout == ""


@needs_ssh
@pytest.mark.parametrize("forward", [["-W", "127.0.0.1:22"], ["-N", "-R", "0:127.0.0.1:22"]], ids=" ".join)
def test_nothing_is_forwarded(account: Account, forward: list[str]) -> None:
    done = account.ssh("-o", "ExitOnForwardFailure=yes", *forward, account.server.host)
    assert done.returncode != 0
    assert "administratively prohibited" in done.stderr or "forwarding failed" in done.stderr


@needs_ssh
@pytest.mark.parametrize(
    "place",
    ["{p}/", "{p}/../public/x/", "{p}/..", "{p}/.x.publishing/", "{p}/a b/", "{p}/--delete/", "{p}/bäserock/",
     "{p}/a/b/", "{p}/a\nb/", "{p}/$(id)/", "{p}//x/", "{p}x/y/", "/etc/", ".ssh/", "~/x/", "{p}/x'y/"],
)  # fmt: skip
def test_no_other_place_is_written_to(account: Account, place: str) -> None:
    put(account.top / "source", {"a": b"a"})
    done = account.rsync("-cR", f"{account.top}/source/./a", account.at(place.format(p=account.private)))
    assert done.returncode != 0
    assert "Refused: " in done.stderr
    assert tree(account.private) == {}


@needs_ssh
def test_nothing_is_read_back(account: Account) -> None:
    account.send({NAMES[0]: b"x"})
    done = account.rsync("-cR", account.at(f"{account.private}/baserock-1.2/"), f"{account.top}/stolen/")
    assert "Refused: " in done.stderr
    assert not (account.top / "stolen").exists() or tree(account.top / "stolen") == {}


@needs_ssh
@pytest.mark.parametrize(
    "option",
    ["-l", "-D", "-o", "-r", "-u", "-H", "-K", "-s", "--inplace", "--append", "--delete", "--backup", "--temp-dir=/etc",
     "--link-dest=/etc", "--remove-source-files", "-M--log-file=/etc/log"],
)  # fmt: skip
def test_no_other_option_is_taken(account: Account, option: str) -> None:
    put(account.top / "source", {"a": b"a"})
    done = account.rsync(
        "-cR",
        "-r" if option == "--delete" else "-p",
        option,
        f"{account.top}/source/./a",
        account.at(f"{account.private}/x/"),
    )
    assert "Refused: " in done.stderr
    assert tree(account.private) == {}


@needs_ssh
def test_room_and_what_has_arrived_are_told_of_one_release(account: Account) -> None:
    account.send({NAMES[0]: b"12345"})
    inside = account.private / "baserock-1.2"
    (inside / ".partial").mkdir(exist_ok=True)
    (inside / ".partial/manifest.json").write_bytes(b"123")
    (inside / "link").symlink_to("/etc/passwd")
    (inside / ".hidden").touch()
    told = account.ssh(account.server.host, f"slipway-room {inside}").stdout.splitlines()
    assert told[:2] == [f"place {inside}", f"account {account.server.user}"]
    assert [line.split()[0] for line in told[2:6]] == ["rights", "writable", "free", "inodes"]
    assert told[6:] == [f"file 5 {NAMES[0]}", "part 3 manifest.json"]
    absent = account.ssh(account.server.host, f"slipway-room {account.private}/baserock-1.3/").stdout
    assert absent.startswith(f"place {account.private}\n")
    assert tree(account.private).keys() == {"baserock-1.2", *(f"baserock-1.2/{name}" for name in os.listdir(inside)),
                                            "baserock-1.2/.partial/manifest.json"}  # fmt: skip


@needs_ssh
@pytest.mark.parametrize(
    "asked",
    ["", "{p}", "{p}/", "{p}/..", "/etc", "''", "{p}/a {p}/b", "-a {p}/a", "{p}/a; id", "{p}/a/b", "{p}/link",
     "{p}/.hidden", "'{p}/a"],
)  # fmt: skip
def test_no_other_question_is_answered(account: Account, asked: str) -> None:
    (account.private / "link").symlink_to("/etc")
    done = account.ssh(account.server.host, f"slipway-room {asked.format(p=account.private)}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Refused: ")


@needs_ssh
def test_a_directory_that_is_a_link_is_not_entered(account: Account) -> None:
    outside = account.top / "outside"
    outside.mkdir()
    (account.private / "baserock-1.2").symlink_to(outside)
    with pytest.raises(SlipwayError, match="Refused: .* is not a directory"):
        account.send({NAMES[0]: b"x"})
    assert tree(outside) == {}


@needs_ssh
def test_a_second_upload_waits_for_the_first(account: Account) -> None:
    (account.private / "baserock-1.2").mkdir()
    hold = ["flock", account.private / "baserock-1.2", "sh", "-c", "echo held; sleep 1"]
    holder = subprocess.Popen(hold, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    started = time.monotonic()
    assert account.send({NAMES[0]: b"x"}) == NAMES[:1]
    assert time.monotonic() - started > 0.5
    assert holder.communicate(timeout=10) == (b"", None)
    assert holder.returncode == 0


def test_our_own_upload_is_understood() -> None:
    target, options, dry = guard.make_command("/p", GOOD)
    assert (target, dry) == ("/p/x-1", False)
    assert options[:3] == ["-cRe.LsfxCIvu", "--log-format=X", "--timeout=60"]
    assert options[3:] == ["--ignore-existing", "--partial-dir=/p/x-1/.partial", "--mkpath"]
    _, options, dry = guard.make_command("/p", GOOD.replace("-pc", "-npc"))
    assert dry
    assert "--ignore-existing" not in options
    assert options[0].startswith("-n")


@given(st.text(), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_whatever_is_asked_for_only_our_options_and_a_label_come_out(text: str, start: int, end: int) -> None:
    try:
        target, options, dry = guard.make_command("/p", GOOD[:start] + text + GOOD[max(start, end) :])
    except guard.RefusedError:
        return
    assert guard.LABEL.match(target.removeprefix("/p/"))
    assert options[0].startswith("-ncRe" if dry else "-cRe")
    assert dry != ("--ignore-existing" in options)
    assert len(options) == (5 if dry else 6)


@pytest.mark.parametrize(
    "arguments",
    [[], ["-c", "id"], ["-c", "/g"], ["-c", "/g /p x"], ["-c", "/other /p"], ["-i"], ["p"], ["-c", "/g p"], ["-c"]],
)
def test_as_a_login_shell_it_knows_only_its_own_command(arguments: list[str]) -> None:
    with pytest.raises(guard.RefusedError, match="no shell"):
        guard.parse_arguments(arguments, "/g")


def test_the_forced_command_and_the_login_shell_agree() -> None:
    assert guard.parse_arguments(["/p/q"], "/g") == guard.parse_arguments(["-c", "/g /p/q"], "/g") == ("/p/q", "")
    assert guard.parse_arguments(["-c", "/g /p/q /b"], "/g") == ("/p/q", "/b")


def test_without_a_forced_command_nothing_is_done() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", "-I", GUARD, "-c", f"{GUARD} /tmp"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Refused: there is no shell here.\n")
