"""`make release-vm` makes a disk that boots by BIOS and EFI, once; what it does when it starts, tests/vm says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from releasevm import ensure_image


def test_the_disk_is_made_once(cache: Path) -> None:
    disk = ensure_image(cache)
    made = os.stat(disk)
    note = json.loads((cache / "vm/release-vm.json").read_text())
    assert disk.name == f"release-vm-{note['sha256'][:12]}.img"
    assert made.st_size == note["size"] > 1 << 31
    assert made.st_blocks * 512 < 1 << 30, "what is empty takes no room"
    table = json.loads(subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout)
    boot, root = table["partitiontable"]["partitions"]
    assert boot["type"] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
    sector = disk.open("rb").read(440)
    assert sector.rstrip(b"\0"), "a BIOS starts this"
    start = int(root["start"]) * 512
    listing = subprocess.run(
        ["/usr/sbin/debugfs", "-R", "ls -p /opt/slipway/checkout", f"{disk}?offset={start}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "/release.yml/" in listing
    assert "/.git/" not in listing, "nothing of this checkout but what is committed"
    assert ensure_image(cache) == disk
    assert os.stat(disk).st_mtime_ns == made.st_mtime_ns
