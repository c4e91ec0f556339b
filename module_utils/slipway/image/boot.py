# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system boots by: the kernel and the initramfs that are in its tree, and the kernel's command line."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..tar import normalise_path
from .job import MIB, Job
from .paths import find_files, follow_links

#: Where a kernel is looked for: the first pattern that something is like decides, and must be like one file.
KERNELS = ("boot/vmlinuz", "boot/zImage", "boot/Image", "boot/vmlinuz-*", "boot/zImage-*", "usr/lib/modules/*/vmlinuz")
INITRAMFS = ("boot/initramfs.gz", "boot/initrd.img", "boot/initramfs-*", "boot/initrd.img-*")
#: How UEFI calls an architecture in the names of programs.
EFI_NAMES = {"x86_64": "x64", "x86_32": "ia32", "armv7lhf": "arm", "armv7l": "arm", "armv8l64": "aa64"}
BIOS = ("x86_64", "x86_32")
#: By architecture what its kernels have in them, where, and what such a file is called.
MAGIC = {
    "x86_64": (0x202, b"HdrS", "a bzImage"),
    "x86_32": (0x202, b"HdrS", "a bzImage"),
    "armv7lhf": (0x24, b"\x18\x28\x6f\x01", "a zImage"),
    "armv7l": (0x24, b"\x18\x28\x6f\x01", "a zImage"),
    "armv8l64": (0x38, b"ARM\x64", "an Image"),
}
LONGEST_ARGUMENTS = 1900
CORRECT = "Correct the system's definitions, or the deployment's settings in the cluster file."


@dataclass(frozen=True)
class Files:
    """Files taken out of a tree: the kernel, the initramfs if there is one, and those asked for by their paths."""

    kernel: Path
    initramfs: Path | None
    others: Mapping[str, Path]


def find_kernel_faults(settings: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings that say which kernel it is and how it is started."""
    found = [
        f"{key} is {settings[key]!r}, which is no path inside the system"
        for key in ("KERNEL_PATH", "INITRAMFS_PATH")
        if key in settings and not normalise_path(settings[key].lstrip("/"))
    ]
    arguments = settings.get("KERNEL_ARGS", "")
    if not arguments.isprintable() or not arguments.isascii():
        found.append("KERNEL_ARGS is not one line of plain characters")
    if len(arguments) > LONGEST_ARGUMENTS:
        found.append(f"KERNEL_ARGS has {len(arguments)} characters, and a kernel takes {LONGEST_ARGUMENTS}")
    return found


def take_files(job: Job, *, others: tuple[str, ...] = ()) -> Files:
    """Take the kernel, the initramfs and ``others`` out of a system's tree, which is not mounted for that."""
    with tarfile.open(job.tree, "r:") as tar:
        members = {info.name: info for info in tar}
        kernel = _find_file(job, members, key="KERNEL_PATH", patterns=KERNELS, what="kernel")
        if kernel is None:
            raise _refuse_missing(job, "it has no kernel: " + _format_patterns(KERNELS))
        ram = _find_file(job, members, key="INITRAMFS_PATH", patterns=INITRAMFS, what="initramfs")
        lacking = [path for path in others if path not in members]
        if lacking:
            raise _refuse_missing(job, f"it has no {lacking[0]}, which such a file is made with")
        taken = {path: job.work / f"taken-{number}" for number, path in enumerate(others)}
        aims = {kernel: job.work / "kernel", **({ram: job.work / "initramfs"} if ram else {}), **taken}
        for name, aim in aims.items():
            content = tar.extractfile(members[name])
            if content is None:
                raise _refuse_missing(job, f"its {name} is not a file")
            with content, aim.open("xb") as stream:
                shutil.copyfileobj(content, stream, MIB)
    _check_kernel(job, kernel, aims[kernel])
    return Files(aims[kernel], aims[ram] if ram else None, taken)


def format_arguments(job: Job, root: str) -> str:
    """The kernel's command line: ``KERNEL_ARGS``, and ``root`` unless that names one."""
    words = job.settings.get("KERNEL_ARGS", "").split()
    if root and not any(word.startswith("root=") for word in words):
        words = [f"root={root}", *([] if {"ro", "rw"} & set(words) else ["rw"]), *words]
    return " ".join(words)


def make_plain_name(text: str) -> str:
    """A name that every file system and boot loader takes."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def _find_file(
    job: Job, members: Mapping[str, tarfile.TarInfo], *, key: str, patterns: tuple[str, ...], what: str
) -> str | None:
    """The path of a file of a tree: the one that the settings name, or the only one that is called so."""
    paths = {
        name: info.linkname if info.issym() else None for name, info in members.items() if info.isreg() or info.issym()
    }
    if key in job.settings:
        found = follow_links(paths, normalise_path(job.settings[key].lstrip("/")) or "")
        if found is None:
            raise _refuse_missing(job, f"it has no file {job.settings[key]}, which {key} names")
        return found
    for pattern in patterns:
        # A short name is often a link to the long one.
        files = {file for file in find_files(paths, pattern).values() if file is not None}
        if len(files) > 1:
            raise _refuse_missing(job, f"it has more than one {what} ({', '.join(sorted(files))}): name one by {key}")
        if files:
            return files.pop()
    return None


def _check_kernel(job: Job, name: str, file: Path) -> None:
    offset, magic, called = MAGIC.get(job.architecture, (0, b"", ""))
    with file.open("rb") as stream:
        head = stream.read(0x400)
    if head[offset : offset + len(magic)] != magic:
        raise _refuse_missing(job, f"its {name} is not {called}, as a kernel for {job.architecture} is")


def _refuse_missing(job: Job, came_back: str) -> SlipwayError:
    return SlipwayError("take what boots out of the system of", job.name, came_back, do_next=CORRECT)


def _format_patterns(patterns: tuple[str, ...]) -> str:
    return f"there is no file {', '.join(patterns[:-1])} or {patterns[-1]}"
