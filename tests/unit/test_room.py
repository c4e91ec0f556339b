# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Transfers to disks that are full, by a real sshd: with a shell behind it, and with the guard of upload accounts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Annotation, Person, ensure_ref
from ansible_collections.slipway.release.plugins.module_utils.slipway.morph.artifacts import Transfer
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import summarise_output
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.upload import SshHost, upload_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import read_artifacts
from ansible_collections.slipway.release.plugins.module_utils.slipway.room import Place, Room
from publishing import content, put, tree
from sshd import Sshd, sshd

GUARD = Path(__file__).resolve().parents[2] / "roles/upload_account/files/upload_guard.py"
LABEL = "baserock-26.47"
MIB = 1 << 20
CONTENTS = {f"{LABEL}-{number}.tar.gz": content(str(number), MIB) for number in range(3)}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can make a small disk"),
    pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs Debian's openssh-server"),
]


@dataclass
class Disk:
    """A small disk that takes uploads, and a program in the place of the client's rsync, for what happens meanwhile."""

    top: Path
    private: Path
    host: SshHost | None
    server: Sshd

    @property
    def directory(self) -> Path:
        return self.private / LABEL

    def fill(self, leave: int) -> None:
        free = os.statvfs(self.private)
        (self.private.parent / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - leave))

    def send(self, contents: dict[str, bytes] = CONTENTS) -> list[str]:
        source = self.top / "source"
        files = read_artifacts(put(source, contents), attempt="test")
        return upload_files(source, files, directory=self.directory, host=self.host)

    def refused(self, contents: dict[str, bytes] = CONTENTS) -> str:
        with pytest.raises(SlipwayError) as caught:
            self.send(contents)
        return str(caught.value)

    def rsync(self, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
        program = self.top / "bin/rsync"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("room") / "sshd") as running:
        yield running


@pytest.fixture(params=["local", "shell", "guard"])
def disk(request: pytest.FixtureRequest, server: Sshd, tmp_path: Path) -> Iterator[Disk]:
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,nr_inodes=100", "slipway-test", mount], check=True)
    private, keys = mount / "private", server.log.with_name("authorized_keys")
    private.mkdir()
    key = server.log.with_name("user.pub").read_text()
    guarded = f'restrict,command="/usr/bin/python3 -I {GUARD} {private}" {key}'
    keys.write_text(guarded if request.param == "guard" else key)
    host = SshHost(server.host, server.user, server.port, server.options)
    yield Disk(tmp_path, private, None if request.param == "local" else host, server)
    keys.write_text(key)
    subprocess.run(["umount", mount], check=True)


over_ssh = pytest.mark.parametrize("disk", ["shell", "guard"], indirect=True)


def test_where_there_is_room_all_arrives(disk: Disk) -> None:
    disk.fill(leave=4 * MIB)
    assert disk.send() == sorted(CONTENTS)


def test_a_full_disk_is_told_with_both_numbers_and_nothing_is_sent(disk: Disk) -> None:
    disk.fill(leave=MIB)
    assert f"No space left on the disk of {disk.private}: {MIB} bytes are free, and {3 * MIB} are needed. " in (
        said := disk.refused()
    )
    assert "Nothing was sent. Make room there" in said
    assert not disk.directory.exists()


def test_only_what_is_still_missing_needs_room(disk: Disk) -> None:
    two = dict(list(CONTENTS.items())[:2])
    disk.send(two)
    disk.fill(leave=MIB + 65536)
    assert disk.send() == sorted({*CONTENTS} - {*two})


@over_ssh
def test_what_was_cut_off_needs_the_rest_only(disk: Disk) -> None:
    partial = disk.directory / ".partial"
    partial.mkdir(parents=True)
    name, data = next(iter(CONTENTS.items()))
    (partial / name).write_bytes(data[: MIB - 4096])
    disk.fill(leave=65536)
    assert disk.send({name: data}) == [name]
    assert (disk.directory / name).read_bytes() == data


def test_a_disk_that_takes_no_more_names_is_told_with_both_numbers(disk: Disk) -> None:
    while os.statvfs(disk.private).f_favail > 2:
        (disk.private.parent / f"empty-{os.statvfs(disk.private).f_favail}").touch()
    assert "2 inodes are free, and 3 are needed" in disk.refused()
    assert tree(disk.private) == {}


def test_a_disk_that_takes_nothing_is_told(disk: Disk) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk.private.parent], check=True)
    assert f"Read-only file system: {disk.private} cannot be written to. Nothing was sent" in disk.refused()


@over_ssh
@pytest.mark.parametrize(
    "goes_on", [f'exec {shutil.which("rsync")} "$@"', "echo 'write error: Broken pipe (32)'; exit 12"]
)
def test_a_disk_that_fills_in_the_middle_is_named_whatever_the_two_rsyncs_say(
    disk: Disk, goes_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = disk.private.parent / "filler"
    # Another one takes the room just after we looked.
    disk.rsync(f"head -c 6000k /dev/zero > {filler}; {goes_on}", monkeypatch)
    said = disk.refused()
    assert re.search(
        rf"/: No space left on the disk of {disk.private}(/{LABEL})?: \d+ bytes are free, and \d+ are needed", said
    )
    assert " are needed. rsync ended with status " in said
    filler.unlink()
    monkeypatch.undo()
    assert set(disk.send()) <= set(CONTENTS)
    assert {path.name: path.read_bytes() for path in disk.directory.iterdir()} == CONTENTS


@over_ssh
def test_where_no_fault_is_found_that_is_said(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.send(dict(list(CONTENTS.items())[:1]))
    disk.rsync("echo 'write error: Broken pipe (32)' >&2; exit 12", monkeypatch)
    assert (
        f"{disk.directory} has room and can be written to; 1 of 3 files are there. "
        "rsync ended with status 12: write error: Broken pipe (32). Fix it"
    ) in disk.refused()


@over_ssh
def test_a_server_that_is_away_after_the_failure_is_told(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    known = disk.server.known_hosts
    disk.rsync(f"mv {known} {known}.away; echo 'Broken pipe' >&2; exit 12", monkeypatch)
    try:
        said = disk.refused()
    finally:
        os.replace(f"{known}.away", known)
    assert "it cannot be asked why (ssh ended with status 255: " in said
    assert "Host key verification failed" in said
    assert "rsync ended with status 12: Broken pipe" in said


def test_rights_are_told_by_the_account_and_the_owner() -> None:
    room = Room("/srv/private", account="upload", rights="drwxr-xr-x root root", free=10)
    assert room.find_faults({"a": 5}) == [
        "Permission denied: upload may not write to /srv/private (drwxr-xr-x root root)"
    ]
    assert room.find_faults({}) == []


@pytest.mark.parametrize("name", ["a b", "$(touch pwned)", "'x", "-rf", "a\\nb", "%s"])
def test_no_name_of_a_directory_is_read_by_a_shell(server: Sshd, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    (directory / "file-1").write_bytes(b"12345")
    host = SshHost(server.host, server.user, server.port, server.options)
    for ssh in ([], host.format_command()):
        room = Place(str(directory), ssh).query_room(attempt="look at", on=name)
        assert room is not None
        assert (room.place, room.writable, room.files) == (str(directory), True, {"file-1": 5})
    assert not (Path.cwd() / "pwned").exists()


@pytest.mark.parametrize(
    ("destination", "host", "directory"),
    [
        ("/srv/artifacts", None, "/srv/artifacts"),
        ("cache@trove:/srv/artifacts", "cache@trove", "/srv/artifacts"),
        ("trove:", "trove", "."),
        ("cache@[fe80::1%eth0]:artifacts", "cache@fe80::1%eth0", "artifacts"),
        ("./a:b", None, "./a:b"),
    ],
)
def test_the_place_of_an_rsync_is_found_in_its_destination(destination: str, host: str | None, directory: str) -> None:
    place = Transfer(destination).place
    assert place is not None
    assert (place.directory, place.ssh[-1] if place.ssh else None) == (directory, host)


@pytest.mark.parametrize(
    "transfer",
    [
        Transfer("rsync://trove/artifacts"),
        Transfer("trove::artifacts"),
        Transfer("trove:/srv", rsync_options=["--rsync-path=sudo rsync"]),
    ],
)
def test_a_place_that_cannot_be_asked_about_is_none(transfer: Transfer) -> None:
    assert transfer.place is None


@pytest.mark.parametrize("disk", ["shell"], indirect=True)
def test_a_push_to_a_full_disk_says_so(disk: Disk) -> None:
    work, bare = disk.top / "work", disk.private / "bare.git"
    person = ["-c", "user.name=D", "-c", "user.email=d@example.org"]
    subprocess.run(["git", "init", "-q", work], check=True)
    subprocess.run(["git", *person, "commit", "-qm", "x", "--allow-empty"], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True).stdout
    disk.fill(leave=0)
    annotation = Annotation("A release", Person("D", "d@example.org", 0))
    with pytest.raises(SlipwayError, match=r"Could not push refs/tags/x to .*: git ended .*No space left on device"):
        ensure_ref(str(bare), "refs/tags/x", commit=commit.strip(), annotation=annotation)


def test_the_first_cause_stands_before_what_follows_from_it() -> None:
    said = "remote: fatal: write error: No space left on device\nerror: a\nerror: b\nerror: c\n"
    assert (
        summarise_output(said) == "remote: fatal: write error: No space left on device / error: a / error: b / error: c"
    )
    assert summarise_output("a\nNo space left on device\nb\n") == "a / No space left on device / b"
