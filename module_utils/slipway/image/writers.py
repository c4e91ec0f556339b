# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deployment's file can be, by the type that a cluster file gives it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .boot import find_kernel_faults
from .esp import find_firmware_faults
from .initramfs import write_initramfs
from .job import Job
from .kernel import find_uki_misfit, write_kernel, write_uki
from .rawdisk import find_disk_faults, write_qcow2, write_rawdisk
from .readonly import find_erofs_faults, find_squashfs_faults, write_erofs, write_squashfs


def accept_settings(_settings: Mapping[str, str]) -> list[str]:
    """Accept all settings."""
    return []


def accept_architecture(_architecture: str, _settings: Mapping[str, str]) -> list[str]:
    """Accept all architectures."""
    return []


@dataclass(frozen=True)
class Writer:
    """How files of one type are made, and what is wrong with a deployment's settings for it.

    ``programs`` are the commands that tell the versions of the programs it uses; ``unfit`` says what is wrong with
    settings for an architecture.
    """

    write: Callable[[Job, Path], None]
    faults: Callable[[Mapping[str, str]], list[str]] = accept_settings
    programs: tuple[tuple[str, str], ...] = ()
    unfit: Callable[[str, Mapping[str, str]], list[str]] = accept_architecture


def write_tar(job: Job, target: Path) -> None:
    """The system's tree as it is."""
    if job.tree.stat().st_nlink == 1:
        os.link(job.tree, target)
    else:
        shutil.copyfile(job.tree, target)  # another deployment has it already, and shall not share its bytes


DISK_PROGRAMS = (("genimage", "--version"), ("mke2fs", "-V"))

#: The types of deployment by name; a further one is a function and a line here.
WRITERS: dict[str, Writer] = {
    "tar": Writer(write_tar),
    "initramfs": Writer(write_initramfs, programs=(("bsdtar", "--version"),)),
    "rawdisk": Writer(write_rawdisk, find_disk_faults, DISK_PROGRAMS, find_firmware_faults),
    "qcow2": Writer(write_qcow2, find_disk_faults, (*DISK_PROGRAMS, ("qemu-img", "--version")), find_firmware_faults),
    "squashfs": Writer(write_squashfs, find_squashfs_faults, (("mksquashfs", "-version"),)),
    "erofs": Writer(write_erofs, find_erofs_faults, (("mkfs.erofs", "--version"), ("fakeroot", "--version"))),
    "kernel": Writer(write_kernel, find_kernel_faults),
    "uki": Writer(write_uki, find_kernel_faults, unfit=find_uki_misfit),
}
