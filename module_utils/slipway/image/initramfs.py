# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An initramfs: a system as a cpio archive."""

from __future__ import annotations

import tarfile
from pathlib import Path

from ..process import run
from ..tar import make_member
from .job import Job

#: The device nodes without which the kernel gives the first program of an initramfs no console.
INITRAMFS_NODES = {"dev/console": (0o600, 5, 1), "dev/null": (0o666, 1, 3)}


def write_initramfs(job: Job, target: Path) -> None:
    """The system's tree as a compressed cpio archive that the kernel unpacks into its first root."""
    nodes = job.work / "nodes.tar"
    with tarfile.open(nodes, "x:") as tar:
        for name, (mode, *device) in INITRAMFS_NODES.items():
            tar.addfile(
                make_member(name, kind=tarfile.CHRTYPE, mode=mode, mtime=job.epoch, device=(device[0], device[1]))
            )
    run(
        [
            *("bsdtar", "-c", "-z", "--options=gzip:!timestamp,gzip:compression-level=9", "--format=newc"),
            *("-f", str(target), f"@{job.tree}", f"@{nodes}"),
        ],
        attempt="make the initramfs",
        on=job.name,
        do_next="Install Debian's package libarchive-tools, and check that the disk is not full.",
    )
