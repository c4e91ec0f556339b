"""An initramfs is a system that a kernel starts from."""

from __future__ import annotations

import gzip
import subprocess
import time
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.initramfs import write_initramfs
from trees import SYSTEM, canonical, entry, job, link


def test_an_initramfs_holds_the_tree_and_a_console(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("init", b"#!/bin/sh\n", mode=0o755), link("sh", "busybox")])
    write_initramfs(job(tmp_path, tree), tmp_path / "initramfs.gz")
    archive = gzip.decompress((tmp_path / "initramfs.gz").read_bytes())
    assert archive.startswith(b"070701")
    listed = subprocess.run(["bsdtar", "-tvf", "-"], input=archive, capture_output=True, check=True).stdout.decode()
    lines = [line.split() for line in listed.splitlines()]
    assert [(line[0], line[2], line[3], line[-1]) for line in lines if line[-1] == "init"] == [
        ("-rwxr-xr-x", "0", "0", "init")
    ]
    assert [(line[0], line[4]) for line in lines if line[-1] == "dev/console"] == [("crw-------", "5,1")]


def test_an_initramfs_is_the_same_in_every_run(tmp_path: Path) -> None:
    tree = canonical(tmp_path, SYSTEM)
    write_initramfs(job(tmp_path / "a", tree), tmp_path / "a.gz")
    time.sleep(1.1)
    write_initramfs(job(tmp_path / "b", tree), tmp_path / "b.gz")
    assert hash_file(tmp_path / "a.gz") == hash_file(tmp_path / "b.gz")
