# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""File systems that are only read: squashfs and EROFS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..process import run
from .job import Job, program_path

#: How the contents of files can be compressed, the usual way first.
SQUASHFS_METHODS = ("zstd", "gzip", "xz", "lz4")
EROFS_METHODS = ("lz4hc", "lz4", "none")


def find_squashfs_faults(settings: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings of a squashfs."""
    return _find_faults(settings, SQUASHFS_METHODS)


def find_erofs_faults(settings: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings of an EROFS."""
    return _find_faults(settings, EROFS_METHODS)


def _find_faults(settings: Mapping[str, str], methods: tuple[str, ...]) -> list[str]:
    method = settings.get("FS_COMPRESSION", methods[0])
    return [] if method in methods else [f"FS_COMPRESSION is {method!r}, not one of {', '.join(methods)}"]


def write_squashfs(job: Job, target: Path) -> None:
    """The system's tree as a squashfs; its blocks have one order, however many threads there are."""
    method = job.settings.get("FS_COMPRESSION", SQUASHFS_METHODS[0])
    words = [
        *("mksquashfs", "-", str(target.absolute()), "-tar", "-noappend", "-no-progress", "-quiet", "-no-xattrs"),
        *("-comp", method, "-mkfs-time", str(job.epoch), "-all-time", str(job.epoch)),
        *("-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"),
    ]
    run(
        ["sh", "-c", 'tree=$1 && shift && exec "$@" < "$tree"', "sh", str(job.tree.absolute()), *words],
        attempt="make the squashfs",
        on=job.name,
        env={"PATH": program_path()},
        do_next="Install Debian's package squashfs-tools, and check that the disk is not full.",
    )


def write_erofs(job: Job, target: Path) -> None:
    """The system's tree as an EROFS. Owners and devices, which only root can give files, fakeroot remembers."""
    method = job.settings.get("FS_COMPRESSION", EROFS_METHODS[0])
    words = ["mkfs.erofs", "--quiet", "-T", str(job.epoch), "-U", job.make_uuid("filesystem"), "-x-1"]
    words += [] if method == "none" else [f"-z{method}"]
    script = 'mkdir tree && tar -xpf "$1" -C tree --numeric-owner && chmod 0755 tree && shift && exec "$@" tree'
    run(
        ["fakeroot", "sh", "-c", script, "sh", str(job.tree.absolute()), *words, str(target.absolute())],
        attempt="make the EROFS",
        on=job.name,
        cwd=job.work,
        env={"PATH": program_path(), "SOURCE_DATE_EPOCH": str(job.epoch), "TMPDIR": os.fspath(job.work.absolute())},
        do_next="Install Debian's packages erofs-utils and fakeroot, and check that the disk is not full.",
    )
