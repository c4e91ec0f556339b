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
from .esp import find_firmware_faults, list_boots
from .initramfs import write_initramfs
from .job import Job
from .kernel import find_uki_misfit, write_kernel, write_uki
from .programs import (
    BSDTAR,
    FAKEROOT,
    GENIMAGE,
    MCOPY,
    MKE2FS,
    MKFS_EROFS,
    MKSQUASHFS,
    QEMU_IMG,
    SYSLINUX,
    Program,
)
from .rawdisk import find_disk_faults, write_qcow2, write_rawdisk
from .readonly import find_erofs_faults, find_squashfs_faults, write_erofs, write_squashfs


def accept_settings(_settings: Mapping[str, str]) -> list[str]:
    """Accept all settings."""
    return []


def accept_architecture(_architecture: str, _settings: Mapping[str, str]) -> list[str]:
    """Accept all architectures."""
    return []


def use(*programs: Program) -> Callable[[str, Mapping[str, str]], list[Program]]:
    """The same programs for all architectures and settings."""
    return lambda _architecture, _settings: list(programs)


use_nothing = use()


@dataclass(frozen=True)
class Writer:
    """How files of one type are made, and what is wrong with a deployment's settings for it.

    ``programs`` lists what it uses for an architecture and settings; ``unfit`` says what is wrong with settings for an
    architecture.
    """

    write: Callable[[Job, Path], None]
    faults: Callable[[Mapping[str, str]], list[str]] = accept_settings
    programs: Callable[[str, Mapping[str, str]], list[Program]] = use_nothing
    unfit: Callable[[str, Mapping[str, str]], list[str]] = accept_architecture


def write_tar(job: Job, target: Path) -> None:
    """The system's tree as it is."""
    if job.tree.stat().st_nlink == 1:
        os.link(job.tree, target)
    else:
        shutil.copyfile(job.tree, target)  # another deployment has it already, and shall not share its bytes


def list_disk_programs(architecture: str, settings: Mapping[str, str]) -> list[Program]:
    """What makes a raw disk, and what starts it."""
    boots = list_boots(architecture, settings)
    return [GENIMAGE, MKE2FS, *([MCOPY] if boots else []), *([SYSLINUX] if "bios" in boots else [])]


def list_qcow2_programs(architecture: str, settings: Mapping[str, str]) -> list[Program]:
    """A raw disk becomes one."""
    return [*list_disk_programs(architecture, settings), QEMU_IMG]


#: The types of deployment by name; a further one is a function and a line here.
WRITERS: dict[str, Writer] = {
    "tar": Writer(write_tar),
    "initramfs": Writer(write_initramfs, programs=use(BSDTAR)),
    "rawdisk": Writer(write_rawdisk, find_disk_faults, list_disk_programs, find_firmware_faults),
    "qcow2": Writer(write_qcow2, find_disk_faults, list_qcow2_programs, find_firmware_faults),
    "squashfs": Writer(write_squashfs, find_squashfs_faults, use(MKSQUASHFS)),
    "erofs": Writer(write_erofs, find_erofs_faults, use(MKFS_EROFS, FAKEROOT)),
    "kernel": Writer(write_kernel, find_kernel_faults),
    "uki": Writer(write_uki, find_kernel_faults, unfit=find_uki_misfit),
}
