"""A raw disk holds a clean file system, the same bytes whoever makes it."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.rawdisk import write_rawdisk
from trees import EPOCH, SYSTEM, canonical, entry, job, link

DISK = [
    *SYSTEM,
    entry('./etc/a "quoted" name', b"quoted", mode=0o600),
    entry("./etc/ünicode", b"unicode"),
    entry("./closed/", mode=0o000),
    entry("./closed/file", b"closed", mode=0o000),
    entry("./dev/"),
    entry("./dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o660),
    entry("./run/fifo", type=tarfile.FIFOTYPE, mode=0o600),
    entry("./large", bytes(300_000) + b"end"),
    entry("./long" + "x" * 200, b"long"),
    link("./longlink", "y" * 200),
]


def test_a_raw_disk_is_the_same_in_every_run_and_directory(tmp_path: Path) -> None:
    tree = canonical(tmp_path, DISK, permissions="/permissions")
    write_rawdisk(job(tmp_path / "a", tree, DISK_SIZE="24M"), tmp_path / "a.img")
    time.sleep(2.1)
    write_rawdisk(job(tmp_path / "b" / "deeper", tree, DISK_SIZE="24M"), tmp_path / "b.img")
    assert hash_file(tmp_path / "a.img") == hash_file(tmp_path / "b.img")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_raw_disk_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    tree = canonical(tmp_path, DISK, permissions="/permissions")
    write_rawdisk(job(tmp_path / "root", tree, DISK_SIZE="24M"), tmp_path / "root.img")
    other = job(tmp_path / "nobody", tree, DISK_SIZE="24M")
    for path in (tmp_path, *(parent for parent in tmp_path.parents if "pytest" in str(parent))):
        path.chmod(0o755)
    for path in (other.work, other.work.parent):
        os.chown(path, 65534, 65534)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            write_rawdisk(other, other.work.parent / "nobody.img")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert hash_file(tmp_path / "root.img") == hash_file(other.work.parent / "nobody.img")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk, and beside it ``root.ext4``, the content of its partition."""
    home = tmp_path_factory.mktemp("disk")
    tree = canonical(home, DISK, permissions="/permissions")
    write_rawdisk(job(home / "job", tree, DISK_SIZE="24M"), home / "disk.img")
    data = (home / "disk.img").read_bytes()
    (home / "root.ext4").write_bytes(data[1 << 20 : -(1 << 20)])
    return home / "disk.img"


def debugfs(disk: Path, command: str) -> str:
    done = subprocess.run(["debugfs", "-R", command, str(disk.with_name("root.ext4"))], capture_output=True, check=True)
    return done.stdout.decode()


def test_a_raw_disk_has_its_size_and_a_partition_table(disk: Path) -> None:
    assert disk.stat().st_size == 24 << 20
    shown = subprocess.run(
        ["partx", "--raw", "--noheadings", "-o", "START,SECTORS,NAME,TYPE", str(disk)],
        capture_output=True,
        check=True,
    )
    assert shown.stdout.decode().split() == ["2048", "45056", "root", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"]


def test_the_file_system_of_a_raw_disk_is_clean(disk: Path) -> None:
    done = subprocess.run(["e2fsck", "-fn", str(disk.with_name("root.ext4"))], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "kind", "mode", "owner"),
    [
        ("/", "directory", "0755", (0, 0)),
        ("/usr/bin/ping", "regular", "04755", (0, 0)),
        ("/etc/shadow", "regular", "0640", (0, 42)),
        ('"/etc/a name"', "regular", "0600", (5, 6)),
        ('"/etc/a ""quoted"" name"', "regular", "0600", (0, 0)),
        ("/etc/ünicode", "regular", "0644", (0, 0)),
        ("/sticky", "directory", "01777", (0, 0)),
        ("/bin", "symlink", "0777", (0, 0)),
        ("/dev/sda", "block special", "0660", (0, 0)),
        ("/run/fifo", "FIFO", "0600", (0, 0)),
        ("/closed", "directory", "0000", (0, 0)),
        ("/closed/file", "regular", "0000", (0, 0)),
    ],
)
def test_files_of_a_raw_disk_have_their_kind_mode_owner_and_time(
    disk: Path, path: str, kind: str, mode: str, owner: tuple[int, int]
) -> None:
    shown = debugfs(disk, f"stat {path}")
    assert f"Type: {kind}" in shown
    assert f"Mode:  {mode} " in shown
    assert f"User: {owner[0]:5d}   Group: {owner[1]:5d}" in shown
    for which in (" ctime", " atime", " mtime", "crtime"):
        assert f"{which}: 0x{EPOCH:08x}:00000000 " in shown


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/usr/bin/tool", b"#!/bin/sh\n" * 1000),
        ("/large", bytes(300_000) + b"end"),
        ('"/etc/a ""quoted"" name"', b"quoted"),
        ("/closed/file", b"closed"),
    ],
)
def test_files_of_a_raw_disk_have_their_content(disk: Path, tmp_path: Path, path: str, data: bytes) -> None:
    debugfs(disk, f"dump {path} {tmp_path}/dumped")
    assert (tmp_path / "dumped").read_bytes() == data


def test_a_disk_that_is_too_small_is_told_with_the_sizes(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("big", os.urandom(20 << 20))])
    with pytest.raises(SlipwayError) as caught:
        write_rawdisk(job(tmp_path, tree, DISK_SIZE="16M"), tmp_path / "disk.img")
    assert "1 files of 20 MiB do not fit into DISK_SIZE 16M" in str(caught.value)
    assert "Give the deployment a larger DISK_SIZE" in str(caught.value)
    assert not (tmp_path / "disk.img").exists()


def test_a_name_that_no_disk_can_hold_is_told(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("a\nb", b"x")])
    with pytest.raises(SlipwayError, match="its name has control characters"):
        write_rawdisk(job(tmp_path, tree, DISK_SIZE="16M"), tmp_path / "disk.img")
