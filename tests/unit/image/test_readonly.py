"""File systems that are only read have the owners, modes and contents of the system, and the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.deploy import Deployment, find_faults
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.readonly import write_erofs, write_squashfs
from trees import EPOCH, SYSTEM, canonical, entry, job

TREE = [*SYSTEM, entry("./dev/"), entry("./dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=1, mode=0o660)]
WRITERS = {"squashfs": write_squashfs, "erofs": write_erofs}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_tree_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    tree = canonical(tmp_path, TREE, permissions="/permissions")
    WRITERS[kind](job(tmp_path / "a", tree), tmp_path / "a.img")
    time.sleep(1.1)
    before = os.umask(0o077)
    try:
        WRITERS[kind](job(tmp_path / "b" / "deeper", tree), tmp_path / "b.img")
    finally:
        os.umask(before)
    assert hash_file(tmp_path / "a.img") == hash_file(tmp_path / "b.img")


def test_a_squashfs_holds_the_tree(tmp_path: Path) -> None:
    tree = canonical(tmp_path, TREE, permissions="/permissions")
    write_squashfs(job(tmp_path, tree, FS_COMPRESSION="gzip"), tmp_path / "a.img")
    words = ["unsquashfs", "-UTC", "-lln", tmp_path / "a.img"]
    shown = subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()
    lines = {line.split()[-1].removeprefix("squashfs-root"): line for line in shown if "squashfs-root" in line}
    assert lines["/usr/bin/ping"].startswith("-rwsr-xr-x 0/0")
    assert lines["/etc/shadow"].startswith("-rw-r----- 0/42")
    assert lines["/dev/sda"].startswith("brw-rw---- 0/0")
    assert all(time.strftime("%Y-%m-%d %H:%M", time.gmtime(EPOCH)) in line for line in lines.values())
    told = subprocess.run(["unsquashfs", "-s", tmp_path / "a.img"], capture_output=True, check=True, text=True).stdout
    assert "Compression gzip" in told


def test_an_erofs_holds_the_tree(tmp_path: Path) -> None:
    tree = canonical(tmp_path, TREE, permissions="/permissions")
    write_erofs(job(tmp_path, tree), tmp_path / "a.img")
    subprocess.run(["fsck.erofs", tmp_path / "a.img"], check=True, capture_output=True)

    script = "fsck.erofs --extract=out --preserve a.img && cd out && stat -c '%a %u %g %Y %n' \"$@\""
    words = ["fakeroot", "sh", "-c", script, "sh", "etc/shadow", "usr/bin/ping", "dev/sda"]
    shown = subprocess.run(words, capture_output=True, check=True, text=True, cwd=tmp_path).stdout
    wanted = [f"640 0 42 {EPOCH} etc/shadow", f"4755 0 0 {EPOCH} usr/bin/ping", f"660 0 0 {EPOCH} dev/sda"]
    assert shown.splitlines()[-3:] == wanted


def test_an_unknown_compression_is_named() -> None:
    made = [Deployment("a", "a", "x86_64", kind, "a", "a", {"FS_COMPRESSION": "rar"}) for kind in WRITERS]
    assert find_faults(made) == [
        "a: FS_COMPRESSION is 'rar', not one of zstd, gzip, xz, lz4",
        "a: FS_COMPRESSION is 'rar', not one of lz4hc, lz4, none",
    ]
