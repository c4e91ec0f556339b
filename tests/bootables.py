"""The smallest things that boot: sectors that say something on the serial port, and Linux with nothing but busybox."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECTOR = 512
#: Machine code, in real mode: say a text on the first serial port, each letter when the one before is sent.
SAY = bytes.fromhex("fc31c08ed8 be0000 ac84c07412 88c4bafd03eca82074fb baf80388e0ee ebe9".replace(" ", ""))
#: And then: stop, begin anew, or reset the machine.
HALT, AGAIN, RESET = bytes.fromhex("f4ebfd"), bytes.fromhex("ebe4"), bytes.fromhex("b0fee664f4ebfd")


def make_sector(text: str, *, then: bytes = HALT) -> bytes:
    """A disk of one MiB whose boot sector says ``text``."""
    code = bytearray(SAY + then)
    code[6:8] = (0x7C00 + len(code)).to_bytes(2, "little")
    sector = bytes(code) + text.encode() + b"\0"
    if len(sector) > SECTOR - 2:
        raise ValueError("the text is too long")
    return sector.ljust(SECTOR - 2, b"\0") + b"\x55\xaa" + bytes((1 << 20) - SECTOR)


def find_kernel(cache: Path) -> Path:
    """A kernel for x86_64 that boots under qemu within two seconds, taken from Debian's package once."""
    kernel = cache / "vmlinuz"
    if not kernel.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _take_kernel(cache, kernel)
    return kernel


#: What a kernel needs to read disks, in this order.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")


def _take_kernel(cache: Path, kernel: Path) -> None:
    meta = "linux-image-cloud-amd64"
    shown = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True, check=True).stdout
    (name,) = [line.split()[1] for line in shown.splitlines() if "Depends: linux-image-" in line][:1]
    work = cache / f".work-{os.getpid()}"
    work.mkdir()
    subprocess.run(["apt-get", "download", "-q", name], cwd=work, check=True, capture_output=True)
    (package,) = work.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, work / "root"], check=True)
    for module in MODULES:
        (found,) = (work / "root").rglob(f"{module}.ko*")
        if found.suffix == ".xz":
            subprocess.run(["unxz", found], check=True)
            found = found.with_suffix("")
        found.replace(cache / f"{module}.ko")
    (found,) = (work / "root/boot").glob("vmlinuz-*")
    found.replace(kernel)
    shutil.rmtree(work)


INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
{commands}
echo "boot-report: id={id} version={version} failed={failed}"
while :; do setsid -c sh </dev/console >/dev/console 2>&1; done
"""


def make_initramfs(
    directory: Path,
    *,
    files: Mapping[str, Path] | None = None,
    id: str = "tiny",
    version: str = "1.0",
    failed: str = "none",
    commands: str = ":",
    init: str = INIT,
) -> Path:
    """An initramfs that has busybox, reports, and offers a shell; ``commands`` are done before."""
    root = directory / "root"
    for name in ("bin", "proc", "dev", "etc", "home"):
        (root / name).mkdir(parents=True)
    shutil.copyfile("/bin/busybox", root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for name, source in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / name)
    (root / "init").write_text(init.format(id=id, version=version, failed=failed, commands=commands))
    (root / "init").chmod(0o755)
    made = directory / "initramfs"
    subprocess.run(["bsdtar", "-c", "-z", "--format=newc", "-f", made, "-C", root, "."], check=True)
    return made


#: Where a disk of :func:`make_disk` keeps what is written to /home, in sectors, and how many MiB boot.
KEPT_AT, BOOTS = 65536, 30
#: What is in /home is written behind what boots again and again; an upgrade takes over what boots.
KEEPS = """\
for module in {modules}; do insmod /modules/$module.ko; done
while ! [ -b /dev/vda ]; do sleep 0.1; done
dd if=/dev/vda skip={at} count=64 2>/dev/null | tar x -C /home 2>/dev/null
while sleep 0.2; do tar c -C /home . | dd of=/dev/vda seek={at} conv=sync 2>/dev/null; done &
printf '#!/bin/sh\\n{upgrade}\\n' >/bin/upgrade; chmod +x /bin/upgrade
"""
UPGRADE = "dd if=$1 of=/dev/vda bs=1M count={count} 2>/dev/null"


def make_disk(kernel: Path, directory: Path, *, version: str, upgrade: str = UPGRADE) -> Path:
    """A disk that starts by BIOS, reports its version, keeps /home, and has the command ``upgrade DEVICE``."""
    commands = KEEPS.format(modules=" ".join(MODULES), at=KEPT_AT, upgrade=upgrade.format(count=BOOTS))
    modules = {f"modules/{name}.ko": kernel.parent / f"{name}.ko" for name in MODULES}
    initramfs = make_initramfs(directory, version=version, commands=commands, files=modules)
    disk = directory / "disk"
    with open(disk, "wb") as stream:
        stream.truncate(40 << 20)
    config = directory / "syslinux.cfg"
    config.write_text(
        "DEFAULT linux\nLABEL linux\nKERNEL linux\nINITRD initramfs\nAPPEND console=ttyS0 panic=-1 quiet\n"
    )
    words = ["-i", disk]
    subprocess.run(["mformat", *words, "-T", str(BOOTS << 11), "-h", "64", "-s", "32", "::"], check=True)
    for source, name in ((kernel, "linux"), (initramfs, "initramfs"), (config, "syslinux.cfg")):
        subprocess.run(["mcopy", *words, source, f"::{name}"], check=True)
    subprocess.run(["syslinux", "--install", disk], check=True)
    return disk
