# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How qemu is called for each architecture and firmware: all of it is data here.

A machine is emulated throughout (no KVM), has one processor, a serial console, disks, and nothing else: no network, no
display, no device that a default or a person's configuration adds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BIOS, EFI, UBOOT, KERNEL = FIRMWARE = ("bios", "efi", "uboot", "kernel")
#: Those that start from a disk.
OF_DISKS = (BIOS, EFI, UBOOT)
#: Which kind of image each starts from.
FORMATS = {"rawdisk": "raw", "qcow2": "qcow2"}


@dataclass(frozen=True)
class Firmware:
    """A firmware in one file, or in two, its code and its variables; of several sets the first that is there counts."""

    package: str
    sets: tuple[tuple[str, ...], ...]

    def find(self) -> tuple[str, ...] | None:
        """The files that this machine has."""
        return next((files for files in self.sets if all(os.path.isfile(path) for path in files)), None)


@dataclass(frozen=True)
class Machine:
    """One kind of computer: the words that make it for each way to start, and what is not qemu's own firmware.

    ``console`` is what its kernels call the serial port.
    """

    program: str
    package: str
    words: Mapping[str, tuple[str, ...]]
    console: str
    files: Mapping[str, Firmware] = field(default_factory=dict)

    @property
    def firmware(self) -> tuple[str, ...]:
        """The ways in which it starts."""
        return tuple(each for each in FIRMWARE if each in self.words)


def _list_pairs(*directories: str, code: str, variables: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{directory}/{code}", f"{directory}/{variables}") for directory in directories)


_OVMF = Firmware(
    "ovmf",
    _list_pairs("/usr/share/OVMF", code="OVMF_CODE_4M.fd", variables="OVMF_VARS_4M.fd")
    + _list_pairs("/usr/share/OVMF", "/usr/share/edk2/ovmf", code="OVMF_CODE.fd", variables="OVMF_VARS.fd"),
)
_OVMF32 = Firmware(
    "ovmf-ia32", _list_pairs("/usr/share/OVMF", code="OVMF32_CODE_4M.secboot.fd", variables="OVMF32_VARS_4M.fd")
)
#: Under 32-bit EFI Debian's ARM kernels die early; boards have U-Boot.
_UBOOT = Firmware("u-boot-qemu", (("/usr/lib/u-boot/qemu_arm/u-boot.bin",),))
_AAVMF = Firmware("qemu-efi-aarch64", _list_pairs("/usr/share/AAVMF", code="AAVMF_CODE.fd", variables="AAVMF_VARS.fd"))
_RANDOM = ("-device", "virtio-rng-pci")
_PC = ("-machine", "q35", "-cpu", "max", *_RANDOM)
_OLD_PC = ("-machine", "pc", "-cpu", "qemu32", *_RANDOM)
#: There is only one build of this firmware, which wants its variables protected.
_SECURE_PC = (
    *("-machine", "q35,smm=on", "-cpu", "max", *_RANDOM),
    *("-global", "driver=cfi.pflash01,property=secure,value=on"),
)
_ARM = ("-machine", "virt,highmem=off", "-cpu", "cortex-a15")
_ARM64 = ("-machine", "virt", "-cpu", "cortex-a57")

MACHINES: dict[str, Machine] = {
    "x86_64": Machine(
        *("qemu-system-x86_64", "qemu-system-x86", dict.fromkeys((BIOS, EFI, KERNEL), _PC), "ttyS0"), {EFI: _OVMF}
    ),
    "x86_32": Machine(
        *("qemu-system-i386", "qemu-system-x86", {BIOS: _OLD_PC, EFI: _SECURE_PC, KERNEL: _OLD_PC}, "ttyS0"),
        {EFI: _OVMF32},
    ),
    **dict.fromkeys(
        ("armv7l", "armv7lhf"),
        Machine("qemu-system-arm", "qemu-system-arm", {UBOOT: _ARM, KERNEL: _ARM}, "ttyAMA0", {UBOOT: _UBOOT}),
    ),
    "armv8l64": Machine(
        *("qemu-system-aarch64", "qemu-system-arm", {EFI: _ARM64, KERNEL: _ARM64}, "ttyAMA0"), {EFI: _AAVMF}
    ),
}
#: What each machine has. Translated code has a bound, since it would grow to a gigabyte beside the machine's memory.
COMMON = (
    *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-smp", "1"),
    *("-accel", "tcg,tb-size=128"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
)
BWRAP = "bwrap"


@dataclass(frozen=True)
class Disk:
    """An image; what is written to it is lost, unless it is ``kept``."""

    path: Path
    format: str = "raw"
    kept: bool = False


@dataclass(frozen=True)
class Start:
    """One computer to start: from ``disks`` by a firmware, or from a kernel, perhaps with an initramfs."""

    architecture: str
    firmware: str
    memory: str = "256M"
    disks: tuple[Disk, ...] = ()
    kernel: Path | None = None
    initramfs: Path | None = None
    command_line: str = ""


def find_missing(needed: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence for each program and firmware that is not there for these architectures and firmwares."""
    found: dict[str, None] = {}
    for architecture, firmware in needed:
        machine = MACHINES[architecture]
        for program, package in ((machine.program, machine.package), (BWRAP, "bubblewrap")):
            if shutil.which(program) is None:
                found[f"the program {program} is missing: {_explain_package(package)}"] = None
        files = machine.files.get(firmware)
        if files is not None and files.find() is None:
            found[f"the firmware {files.sets[0][0]} is missing: {_explain_package(files.package)}"] = None
    return list(found)


def _explain_package(package: str) -> str:
    return f"install the Debian package {package} (apt-get install {package})"


def make_command(start: Start, scratch: Path) -> list[str]:
    """The command that starts a computer, in a sandbox that has programs, its images and an empty scratch directory.

    It ends with the process that starts it, however that ends.
    """
    machine = MACHINES[start.architecture]
    program = shutil.which(machine.program) or machine.program
    sandbox, words = _Sandbox(scratch, program), [program, *machine.words[start.firmware], *COMMON]
    words += ["-m", start.memory]
    files = machine.files.get(start.firmware)
    code, *variables = ("",) if files is None else files.find() or files.sets[0]
    if variables:
        shutil.copyfile(variables[0], scratch / "variables")
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={sandbox.show(scratch / 'variables', write=True)}"]
    elif files is not None:
        words += ["-bios", code]
    for number, disk in enumerate(start.disks):
        name, snapshot = f"disk{number}", "off" if disk.kept else "on"
        file = sandbox.show(disk.path, write=disk.kept)
        words += ["-drive", f"if=none,id={name},format={disk.format},snapshot={snapshot},file={file}"]
        words += ["-device", f"virtio-blk-pci,drive={name}"]
    if start.kernel is not None:
        words += ["-kernel", sandbox.show(start.kernel)]
        words += ["-append", start.command_line or f"console={machine.console} panic=-1"]
        words += ["-initrd", sandbox.show(start.initramfs)] if start.initramfs else []
    return [*sandbox.make_words(), *words]


class _Sandbox:
    """Its own users, processes and network; files are /usr, and those that it is shown."""

    def __init__(self, scratch: Path, program: str) -> None:
        self._scratch = scratch
        self._shown: list[str] = [] if program.startswith("/usr/") else ["--ro-bind", program, program]
        self._count = 0

    def show(self, path: Path, *, write: bool = False) -> str:
        """Show it one file, which has the name that is returned."""
        inside = f"/files/{self._count}"
        self._count += 1
        self._shown += ["--bind" if write else "--ro-bind", str(path), inside]
        return inside

    def make_words(self) -> list[str]:
        """The command, up to the program's own."""
        (self._scratch / "tmp").mkdir(exist_ok=True)
        system = [
            word
            for name in ("bin", "sbin", "lib", "lib32", "lib64")
            for word in ("--symlink", f"usr/{name}", f"/{name}")
        ]
        return [
            *(BWRAP, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"),
            *(
                "--die-with-parent",
                "--new-session",
                "--ro-bind",
                "/usr",
                "/usr",
                *system,
                "--dev",
                "/dev",
                "--proc",
                "/proc",
            ),
            *("--bind", str(self._scratch / "tmp"), "/tmp", "--symlink", "../tmp", "/var/tmp", "--chdir", "/tmp"),  # noqa: S108  # of the sandbox alone
            *("--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin", "--setenv", "LC_ALL", "C.UTF-8"),
            *("--setenv", "TMPDIR", "/tmp", *self._shown, "--"),  # noqa: S108  # of the sandbox alone
        ]


def choose_firmware(architecture: str, wanted: Sequence[str] | Mapping[str, Sequence[str]]) -> list[str]:
    """Those of the wanted ways to start that an architecture has; a mapping says them for each architecture."""
    machine = MACHINES.get(architecture)
    listed = wanted.get(architecture, ()) if isinstance(wanted, Mapping) else wanted
    return [each for each in FIRMWARE if each in listed and machine is not None and each in machine.firmware]
