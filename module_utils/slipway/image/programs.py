# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs by which files are made of systems."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A program, the Debian ``package`` it comes in, and the argument by which it tells its version.

    ``statuses`` are those that it may end with then.
    """

    name: str
    package: str
    asked: str = "--version"
    statuses: tuple[int, ...] = (0,)


BSDTAR = Program("bsdtar", "libarchive-tools")
FAKEROOT = Program("fakeroot", "fakeroot")
GENIMAGE = Program("genimage", "genimage")
MCOPY = Program("mcopy", "mtools")
MKE2FS = Program("mke2fs", "e2fsprogs", "-V")
#: Before 1.7 it does not know the argument: it says its version, as it always does, and how it is used.
MKFS_EROFS = Program("mkfs.erofs", "erofs-utils", statuses=(0, 1))
MKSQUASHFS = Program("mksquashfs", "squashfs-tools", "-version")
QEMU_IMG = Program("qemu-img", "qemu-utils")
SYSLINUX = Program("syslinux", "syslinux")
