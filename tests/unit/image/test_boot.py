"""A disk that boots has its kernel where firmware finds it; the same kernel can be a file, or a program for UEFI."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.deploy import Deployment, find_faults
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.kernel import write_kernel, write_uki
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.rawdisk import write_qcow2, write_rawdisk
from trees import BOOTING, EPOCH, SYSTEM, canonical, entry, job, make_kernel

MIB = 1 << 20
KERNEL = make_kernel()
DISK = {"DISK_SIZE": "64M", "BOOT_SIZE": "34M", "KERNEL_ARGS": "console=ttyS0,9600 quiet"}
STUB = "./usr/lib/systemd/boot/efi/linuxx64.efi.stub"


def make_program(room: int = 10) -> bytes:
    """A program of UEFI with one section, and room for more."""
    header = bytearray(0x400)
    header[:2], header[0x3C:0x40] = b"MZ", struct.pack("<I", 0x80)
    struct.pack_into("<4sHHIIIHH", header, 0x80, b"PE\0\0", 0x8664, 1, 0, 0, 0, 0xF0, 0x22E)
    struct.pack_into("<H", header, 0x98, 0x20B)
    struct.pack_into("<II", header, 0x98 + 32, 0x1000, 0x200)
    struct.pack_into("<II", header, 0x98 + 56, 0x2000, 0x188 + 40 * (1 + room))
    struct.pack_into("<H", header, 0x98 + 68, 10)
    struct.pack_into("<I", header, 0x98 + 108, 16)
    struct.pack_into("<8sIIIIIIHHI", header, 0x188, b".text", 0x200, 0x1000, 0x200, 0x400, 0, 0, 0, 0, 0x60000020)
    return bytes(header) + bytes(0x200)


def read(disk: Path, path: str) -> str:
    words = ["mtype", "-i", f"{disk}@@1M", f"::/{path}"]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("boot")
    write_rawdisk(job(home / "job", canonical(home, BOOTING), BOOT="both", **DISK), home / "disk.img")
    return home / "disk.img"


def test_firmware_finds_what_it_starts(disk: Path) -> None:
    table = subprocess.run(["sfdisk", "--dump", disk], capture_output=True, check=True, text=True).stdout
    first, second = (line for line in table.splitlines() if "start=" in line)
    assert "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B" in first
    assert 'attrs="LegacyBIOSBootable"' in first
    assert "type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709" in second
    data = disk.read_bytes()
    assert data[:3] != bytes(3)
    assert data[510:512] == b"\x55\xaa"
    assert b"SYSLINUX" in data[MIB : MIB + 512]
    names = subprocess.run(["mdir", "-a", "-b", "-/", "-i", f"{disk}@@1M", "::"], capture_output=True, text=True).stdout
    assert "::/EFI/BOOT/BOOTX64.EFI" in names
    assert "::/ldlinux.sys" in names


def test_the_boot_loaders_name_kernel_initramfs_and_root(disk: Path) -> None:
    entry_ = read(disk, "loader/entries/baserock-26.47.conf")
    syslinux = read(disk, "syslinux.cfg")
    (disk.parent / "root.ext4").write_bytes(disk.read_bytes()[35 * MIB : -MIB])
    told = subprocess.run(
        ["blkid", "-o", "value", "-s", "UUID", disk.parent / "root.ext4"], capture_output=True, text=True
    )
    arguments = f"root=UUID={told.stdout.strip()} rw console=ttyS0,9600 quiet"
    assert f"linux /baserock-26.47/linux\ninitrd /baserock-26.47/initramfs\noptions {arguments}\n" in entry_
    assert f"  LINUX /baserock-26.47/linux\n  INITRD /baserock-26.47/initramfs\n  APPEND {arguments}\n" in syslinux
    assert syslinux.startswith("SERIAL 0 9600\n"), "the boot loader speaks where the kernel does"
    kernel = subprocess.run(["mtype", "-i", f"{disk}@@1M", "::/baserock-26.47/linux"], capture_output=True).stdout
    assert kernel == make_kernel()


def test_a_disk_that_boots_is_the_same_in_every_run(disk: Path, tmp_path: Path) -> None:
    time.sleep(2.1)
    before = os.umask(0o077)
    try:
        write_rawdisk(
            job(tmp_path / "other", canonical(tmp_path, BOOTING), BOOT="both", **DISK), tmp_path / "again.img"
        )
    finally:
        os.umask(before)
    assert hash_file(tmp_path / "again.img") == hash_file(disk)


def test_an_arm_disk_is_read_by_u_boot(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [*SYSTEM, entry("./boot/zImage", make_kernel("armv7lhf"))])
    settings = {**DISK, "BOOT": "uboot", "KERNEL_ARGS": "console=ttyAMA0"}
    write_rawdisk(job(tmp_path / "job", tree, "armv7lhf", **settings), tmp_path / "disk.img")
    said = read(tmp_path / "disk.img", "extlinux/extlinux.conf")
    assert "LINUX /baserock-26.47/linux\n" in said
    assert "APPEND root=PARTUUID=" in said, "without an initramfs the kernel itself finds the partition"
    assert "INITRD" not in said


def test_a_qcow2_holds_the_raw_disk_and_is_the_same_in_every_run(disk: Path, tmp_path: Path) -> None:
    tree = canonical(tmp_path, BOOTING)
    for name in ("a", "b"):
        write_qcow2(job(tmp_path / name, tree, BOOT="both", **DISK), tmp_path / f"{name}.qcow2")
    assert hash_file(tmp_path / "a.qcow2") == hash_file(tmp_path / "b.qcow2")
    assert (tmp_path / "a.qcow2").stat().st_size < disk.stat().st_size // 4
    subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", tmp_path / "a.qcow2", disk], check=True)


@pytest.mark.parametrize("architecture", ["x86_64", "armv7lhf"])
def test_a_kernel_is_taken_out_of_the_system(tmp_path: Path, architecture: str) -> None:
    tree = canonical(tmp_path, [*SYSTEM, entry("./boot/vmlinuz-6.1", make_kernel(architecture))])
    write_kernel(job(tmp_path, tree, architecture), tmp_path / "kernel")
    assert (tmp_path / "kernel").read_bytes() == make_kernel(architecture)


def test_a_unified_kernel_image_has_all_in_sections(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [*BOOTING, entry(STUB, make_program())])
    for name in ("a", "b"):
        write_uki(job(tmp_path / name, tree, KERNEL_ARGS="root=/dev/vda2"), tmp_path / f"{name}.efi")
    assert hash_file(tmp_path / "a.efi") == hash_file(tmp_path / "b.efi")
    words = ["objdump", "--section-headers", tmp_path / "a.efi"]
    shown = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    described = [line.split() for line in shown.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    places = {words[1]: (int(words[5], 16), int(words[2], 16)) for words in described}
    wanted = {".linux": KERNEL, ".initrd": b"initramfs" * 1000, ".cmdline": b"root=/dev/vda2\0"}
    data = (tmp_path / "a.efi").read_bytes()
    assert {name: data[start : start + size] for name, (start, size) in places.items() if name in wanted} == wanted


@pytest.mark.parametrize(
    ("entries", "settings", "why"),
    [
        ([], {}, "it has no kernel: there is no file boot/vmlinuz, boot/zImage, .* or usr/lib/modules/"),
        (
            [("boot/vmlinuz-1", make_kernel()), ("boot/vmlinuz-2", make_kernel())],
            {},
            "more than one kernel .*KERNEL_PATH",
        ),
        (
            [("boot/vmlinuz", b"not one")],
            {"BOOT": "bios"},
            "its boot/vmlinuz is not a bzImage, as a kernel for x86_64 is",
        ),
        (
            [("boot/vmlinuz", make_kernel())],
            {"KERNEL_PATH": "boot/other"},
            "no file boot/other, which KERNEL_PATH names",
        ),
        ([("boot/vmlinuz", KERNEL)], {"INITRAMFS_PATH": "x"}, "no file x, which INITRAMFS_PATH names"),
        ([("boot/vmlinuz", KERNEL)], {}, "it has no usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
        (
            [("boot/vmlinuz", make_kernel(size=40 * MIB))],
            {"BOOT": "bios"},
            "41 MiB, which do not fit into BOOT_SIZE 34M",
        ),
    ],
)
def test_what_does_not_boot_is_one_sentence(
    tmp_path: Path, entries: list[tuple[str, bytes]], settings: dict[str, str], why: str
) -> None:
    tree = canonical(tmp_path, [*SYSTEM, *(entry(f"./{name}", content) for name, content in entries)])
    with pytest.raises(SlipwayError, match=why):
        write_rawdisk(job(tmp_path, tree, **{"BOOT": "efi", **DISK, **settings}), tmp_path / "disk.img")
    assert not (tmp_path / "disk.img").exists()


@pytest.mark.parametrize(
    ("stub", "why"), [(b"MZ", "no program of UEFI"), (make_program(room=2), "room for 2 more sections, not for 4")]
)
def test_a_stub_that_is_no_program_or_is_full_is_refused(tmp_path: Path, stub: bytes, why: str) -> None:
    tree = canonical(tmp_path, [*BOOTING, entry(STUB, stub)])
    with pytest.raises(SlipwayError, match=why):
        write_uki(job(tmp_path, tree), tmp_path / "uki.efi")


@pytest.mark.parametrize(
    ("kind", "architecture", "settings", "why"),
    [
        ("rawdisk", "x86_64", {"BOOT": "grub"}, "BOOT is 'grub', not one of efi, bios, uboot, both"),
        (
            "rawdisk",
            "armv7lhf",
            {"DISK_SIZE": "99M", "BOOT": "bios"},
            "BOOT is bios, but armv7lhf boots by uboot or efi",
        ),
        ("qcow2", "ppc64", {"DISK_SIZE": "99M", "BOOT": "both"}, "BOOT is both, but ppc64 boots by uboot alone"),
        ("rawdisk", "x86_64", {"BOOT": "efi", "BOOT_SIZE": "1M"}, "BOOT_SIZE is '1M'; it is at least 34M"),
        ("rawdisk", "x86_64", {"BOOT": "efi"}, "of which BOOT_SIZE leaves less than 16M"),
        (
            "rawdisk",
            "x86_64",
            {"BOOT": "efi", "KERNEL_ARGS": "a\nb"},
            "KERNEL_ARGS is not one line of plain characters",
        ),
        (
            "kernel",
            "x86_64",
            {"KERNEL_PATH": "../etc/shadow"},
            "KERNEL_PATH is '../etc/shadow', which is no path inside",
        ),
        ("uki", "ppc64", {}, "it is not known how ppc64 boots by EFI"),
        ("uki", "x86_64", {"KERNEL_ARGS": "x" * 2000}, "KERNEL_ARGS has 2000 characters, and a kernel takes 1900"),
    ],
)
def test_settings_that_cannot_be_are_named(kind: str, architecture: str, settings: dict[str, str], why: str) -> None:
    size = {"DISK_SIZE": "50M"} if kind in ("rawdisk", "qcow2") else {}
    faults = find_faults([Deployment("a", "a", architecture, kind, "a", "a", {**size, **settings})])
    assert len(faults) == 1
    assert why in faults[0]


def test_times_in_the_boot_partition_are_those_of_the_release(disk: Path) -> None:
    shown = subprocess.run(
        ["mdir", "-i", f"{disk}@@1M", "::/baserock-26.47"],
        capture_output=True,
        text=True,
        env={"TZ": "UTC", "PATH": os.environ["PATH"]},
    )
    assert time.strftime("%Y-%m-%d", time.gmtime(EPOCH)) in shown.stdout
