"""Trees of systems as their builders hand them over, and what became of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.image.job import Job
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.tree import (
    Changes,
    rewrite_tree,
)

EPOCH = 1700000000
OS_RELEASE = 'ID=debian\nIMAGE_ID=old\nNAME="Debian"\n'


def entry(name: str, content: bytes | None = None, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar: a file with ``content``, otherwise a directory, or what ``more`` says."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    info.mode = 0o644 if content is not None else 0o755
    info.size = len(content or b"")
    for key, value in more.items():
        setattr(info, key, value)
    return info, content or b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target, mode=0o777)


def write_tree(path: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return path


SYSTEM = [
    entry("./usr/"),
    entry("./usr/bin/"),
    entry("./usr/bin/tool", b"#!/bin/sh\n" * 1000, mode=0o755, uid=1000, mtime=5),
    entry("./usr/bin/ping", b"ping", mode=0o755),
    entry("./usr/lib/"),
    entry("./usr/lib/os-release", OS_RELEASE.encode()),
    link("./bin", "usr/bin"),
    entry("./etc/"),
    link("./etc/os-release", "../usr/lib/os-release"),
    entry("./etc/shadow", b"root:*:", mode=0o644),
    entry("./etc/a name", b"a", mode=0o644),
    entry("./sticky/"),
    entry(
        "./permissions",
        b"4755 0 0 /usr/bin/ping\n# all may write\n1777 0 0 sticky\n0640 0 42 etc/shadow\n600 5 6 etc/a%20name\n",
    ),
]


def canonical(
    tmp_path: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]], name: str = "tree", **more: object
) -> Path:
    target = tmp_path / f"{name}.tar"
    rewrite_tree(write_tree(tmp_path / f"{name}.source.tar", entries), target, changes=Changes(EPOCH, **more))  # type: ignore[arg-type]  # passed on as they are
    return target


def listing(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return {info.name: info for info in tar}


def content(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


def job(tmp_path: Path, tree: Path, architecture: str = "x86_64", **settings_: str) -> Job:
    work = tmp_path / "work"
    work.mkdir(parents=True)
    return Job("system", "baserock-26.47", architecture, settings_, EPOCH, tree, work)


def make_kernel(architecture: str = "x86_64", size: int = 200_000) -> bytes:
    """What looks like a kernel to whoever does not start it."""
    place, magic = (0x202, b"HdrS") if architecture.startswith("x86") else (0x24, b"\x18\x28\x6f\x01")
    return bytes(place) + magic + bytes(size)


BOOTING = [
    *SYSTEM,
    entry("./boot/vmlinuz-6.1", make_kernel()),
    link("./boot/vmlinuz", "vmlinuz-6.1"),
    entry("./boot/initramfs.gz", b"initramfs" * 1000),
    entry("./usr/lib/systemd/boot/efi/systemd-bootx64.efi", b"MZ loader"),
]
