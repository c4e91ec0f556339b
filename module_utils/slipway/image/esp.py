# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The partition that firmware boots from: kernel, initramfs and boot loaders in a FAT file system."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from ..errors import SlipwayError
from ..process import run
from .boot import BIOS, EFI_NAMES, Files, find_kernel_faults, format_arguments, make_plain_name, take_files
from .job import MIB, Job, program_path, read_size

#: What a disk is started by, by the value of ``BOOT``; ``both`` is all that there is on the architecture.
BOOTS = ("efi", "bios", "uboot", "both")
#: Large enough for FAT32, which UEFI asks for, and for two small kernels.
DEFAULT_SIZE = "48M"
SMALLEST_SIZE = 34 * MIB
#: The boot sector that starts the partition which is marked, and those who have it.
SECTORS = ("/usr/lib/SYSLINUX/gptmbr.bin", "/usr/lib/syslinux/mbr/gptmbr.bin", "/usr/share/syslinux/gptmbr.bin")
SECTOR_BYTES = 440
INSTALL = "Install Debian's packages mtools and syslinux, and check that the disk is not full."


def find_boot_faults(settings: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings of a disk that boots."""
    if "BOOT" not in settings:
        return []
    found = find_kernel_faults(settings)
    if settings["BOOT"] not in BOOTS:
        found.append(f"BOOT is {settings['BOOT']!r}, not one of {', '.join(BOOTS)}")
    size = read_size(settings.get("BOOT_SIZE", DEFAULT_SIZE))
    if size is None or size % MIB or size < SMALLEST_SIZE:
        found.append(f"BOOT_SIZE is {settings['BOOT_SIZE']!r}; it is at least 34M, and whole mebibytes")
    return found


def find_firmware_faults(architecture: str, settings: Mapping[str, str]) -> list[str]:
    """Which firmware of ``BOOT`` an architecture has not."""
    boot, known = settings.get("BOOT", ""), list_firmware(architecture)
    if boot == "both" and len(known) != 2:
        return [f"BOOT is both, but {architecture} boots by {' and '.join(known)} alone"]
    if boot not in ("", "both", *known):
        return [f"BOOT is {boot}, but {architecture} boots by {' or '.join(known)}"]
    return []


def list_firmware(architecture: str) -> list[str]:
    """What an architecture boots by."""
    return [
        *(["bios"] if architecture in BIOS else ["uboot"]),
        *(["efi"] if architecture in EFI_NAMES else []),
    ]


def list_boots(architecture: str, settings: Mapping[str, str]) -> list[str]:
    """What a disk with these settings boots by; nothing without ``BOOT``."""
    boot = settings.get("BOOT", "")
    return list_firmware(architecture) if boot == "both" else [boot] if boot else []


def read_boot_size(settings: Mapping[str, str]) -> int:
    """The bytes of the partition; 0 without one."""
    return (read_size(settings.get("BOOT_SIZE", DEFAULT_SIZE)) or 0) if "BOOT" in settings else 0


def write_esp(job: Job, image: Path, *, root_uuid: str, root_partition: str) -> None:
    """Write the file system to ``image``. With an initramfs the root file system is found by its own UUID."""
    boots = list_boots(job.architecture, job.settings)
    efi = EFI_NAMES.get(job.architecture, "")
    loader = f"usr/lib/systemd/boot/efi/systemd-boot{efi}.efi"
    files = take_files(job, others=(loader,) if "efi" in boots else ())
    root = f"UUID={root_uuid}" if files.initramfs else f"PARTUUID={root_partition}"
    arguments = format_arguments(job, root)
    entry = make_plain_name(job.label)
    contents: dict[str, Path | str] = {f"{entry}/linux": files.kernel}
    if files.initramfs:
        contents[f"{entry}/initramfs"] = files.initramfs
    if "efi" in boots:
        contents[f"EFI/BOOT/BOOT{efi.upper()}.EFI"] = files.others[loader]
        contents["loader/loader.conf"] = f"timeout 0\ndefault {entry}.conf\n"
        contents[f"loader/entries/{entry}.conf"] = _format_entry(job, files, entry=entry, arguments=arguments)
    if "bios" in boots:
        contents["syslinux.cfg"] = _format_syslinux(files, entry=entry, arguments=arguments)
    if "uboot" in boots:
        contents["extlinux/extlinux.conf"] = _format_extlinux(files, entry=entry, arguments=arguments)
    _check_room(job, contents)
    _write_fat(job, image, contents)
    if "bios" in boots:
        _run(job, ["syslinux", "--install", image.name], cwd=image.parent)


def read_boot_sector() -> bytes:
    """The first bytes of a disk that a BIOS starts."""
    for path in map(Path, SECTORS):
        if path.is_file():
            return path.read_bytes()[:SECTOR_BYTES].ljust(SECTOR_BYTES, b"\0")
    raise SlipwayError("make a disk that boots by BIOS", "", f"there is no {SECTORS[0]}", do_next=INSTALL)


def _format_entry(job: Job, files: Files, *, entry: str, arguments: str) -> str:
    lines = [f"title {job.name} {job.label}", f"linux /{entry}/linux"]
    lines += [f"initrd /{entry}/initramfs"] if files.initramfs else []
    return "\n".join([*lines, f"options {arguments}", ""])


def _format_syslinux(files: Files, *, entry: str, arguments: str) -> str:
    # The loader speaks where the kernel does, so that whoever listens there knows how far it got.
    serial = next((word for word in arguments.split() if word.startswith("console=ttyS")), "").partition("ttyS")[2]
    port, _comma, rate = serial.partition(",")
    lines = [f"SERIAL {port} {rate or 115200}"] if port.isdigit() and (rate or "1").isdigit() else []
    lines += [f"SAY syslinux: starting {entry}", "PROMPT 0"]
    return "\n".join([*lines, _format_extlinux(files, entry=entry, arguments=arguments)])


def _format_extlinux(files: Files, *, entry: str, arguments: str) -> str:
    """What U-Boot reads, and syslinux as well."""
    lines = [f"DEFAULT {entry}", f"LABEL {entry}", f"  LINUX /{entry}/linux"]
    lines += [f"  INITRD /{entry}/initramfs"] if files.initramfs else []
    return "\n".join([*lines, f"  APPEND {arguments}", ""])


def _check_room(job: Job, contents: Mapping[str, Path | str]) -> None:
    needed = sum(each.stat().st_size if isinstance(each, Path) else len(each) for each in contents.values())
    size = read_boot_size(job.settings)
    if needed > size - 2 * MIB:
        raise SlipwayError(
            "make the boot partition of",
            job.name,
            f"kernel, initramfs and boot loader have {-(-needed // MIB)} MiB, which do not fit into "
            f"BOOT_SIZE {job.settings.get('BOOT_SIZE', DEFAULT_SIZE)}",
            do_next="Give the deployment a larger BOOT_SIZE in the cluster file.",
        )


def _write_fat(job: Job, image: Path, contents: Mapping[str, Path | str]) -> None:
    """Make the file system and copy one file after the other, since a directory has no order of its own."""
    size = read_boot_size(job.settings)
    with image.open("xb") as stream:
        stream.truncate(size)
    serial = uuid.UUID(job.make_uuid("boot filesystem")).hex[:8]
    geometry = ["-c", "1" if size < 512 * MIB else "8", "-h", "255", "-s", "63", "-H", "2048"]
    name = image.name
    _run(job, ["mformat", "-i", name, "-F", *geometry, "-N", serial, "-v", "BOOT"], cwd=image.parent)
    directories = sorted({str(parent) for path in contents for parent in Path(path).parents if parent.name})
    _run(job, ["mmd", "-i", name, *(f"::{each}" for each in directories)], cwd=image.parent)
    for number, (path, content) in enumerate(sorted(contents.items())):
        file = content if isinstance(content, Path) else job.work / f"text-{number}"
        if isinstance(content, str):
            file.write_text(content, encoding="utf-8")
        os.utime(file, (job.epoch, job.epoch))
        _run(job, ["mcopy", "-i", name, "-m", str(file.absolute()), f"::{path}"], cwd=image.parent)


def _run(job: Job, words: list[str], *, cwd: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": str(job.epoch), "MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"}
    env["PATH"] = program_path()
    run(words, attempt="make the boot partition of", on=job.name, cwd=cwd, env=env, do_next=INSTALL)
