# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system's kernel as a file: as it is, or with initramfs and command line in one program for UEFI."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SlipwayError
from .boot import CORRECT, EFI_NAMES, format_arguments, take_files
from .job import Job
from .tree import OS_RELEASE, read_members

#: What a section of a program holds (initialised data, readable), and the bytes that describe it.
SECTION = struct.Struct("<8sIIIIIIHHI")
READABLE_DATA = 0x40000040


def find_uki_misfit(architecture: str, _settings: Mapping[str, str]) -> list[str]:
    """Whether an architecture has UEFI."""
    return [] if architecture in EFI_NAMES else [f"it is not known how {architecture} boots by EFI"]


def write_kernel(job: Job, target: Path) -> None:
    """The kernel that is in the system's tree."""
    os.replace(take_files(job).kernel, target)


def write_uki(job: Job, target: Path) -> None:
    """A unified kernel image: the stub of systemd-boot with kernel, initramfs and command line inside."""
    stub = f"usr/lib/systemd/boot/efi/linux{EFI_NAMES[job.architecture]}.efi.stub"
    files = take_files(job, others=(stub,))
    sections = [
        (b".osrel", _read_os_release(job)),
        (b".cmdline", format_arguments(job, "").encode() + b"\0"),
        *([(b".initrd", files.initramfs.read_bytes())] if files.initramfs else []),
        (b".linux", files.kernel.read_bytes()),
    ]
    target.write_bytes(add_sections(files.others[stub].read_bytes(), sections, on=job.name))


def add_sections(program: bytes, sections: Sequence[tuple[bytes, bytes]], *, on: str) -> bytes:
    """Append ``sections``, names and contents, to a program of UEFI (PE), behind all that it has."""
    try:
        (header,) = struct.unpack_from("<I", program, 0x3C)
        signature, _machine, count, _time, _symbols, _number, optional = struct.unpack_from(
            "<4sHHIIIH", program, header
        )
        if signature != b"PE\0\0":
            raise ValueError
        start = header + 24
        alignment, file_alignment = struct.unpack_from("<II", program, start + 32)
        (headers_end,) = struct.unpack_from("<I", program, start + 60)
        table = start + optional
        known = [SECTION.unpack_from(program, table + number * SECTION.size) for number in range(count)]
        end = max(each[2] + max(each[1], each[3]) for each in known)
    except (struct.error, ValueError) as error:
        raise SlipwayError(
            "make a unified kernel image",
            on,
            "the stub of systemd-boot in the system is no program of UEFI",
            do_next=CORRECT,
        ) from error
    room = (headers_end - table) // SECTION.size - count
    if room < len(sections):
        came_back = f"the stub of systemd-boot has room for {room} more sections, not for {len(sections)}"
        raise SlipwayError("make a unified kernel image", on, came_back, do_next=CORRECT)
    made = bytearray(program)
    made += bytes(-len(made) % file_alignment)
    for number, (name, content) in enumerate(sections, count):
        place = -(-end // alignment) * alignment
        size = -(-len(content) // file_alignment) * file_alignment
        described = (name, len(content), place, size, len(made), 0, 0, 0, 0, READABLE_DATA)
        SECTION.pack_into(made, table + number * SECTION.size, *described)
        made += content + bytes(size - len(content))
        end = place + len(content)
    struct.pack_into("<H", made, header + 6, count + len(sections))
    struct.pack_into("<I", made, start + 56, -(-end // alignment) * alignment)
    struct.pack_into("<I", made, start + 64, 0)  # a checksum is none rather than a wrong one
    return bytes(made)


def _read_os_release(job: Job) -> bytes:
    for info, content in read_members(job.tree):
        if info.name in OS_RELEASE and content is not None:
            return content.read()
    return b""
